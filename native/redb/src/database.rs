//! `Database`: the file, opened.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyList, PyType};
use redb::{Builder, ReadableTableMetadata};

use crate::arguments::{Items, Keys, pairs, seconds, values};
use crate::blocks::{Blocks, VerifiedFile};
use crate::errors::Failure;
use crate::guard::guarded;
use crate::handle::Handle;
use crate::tables::{self, Range};
use crate::transaction::WriteTransaction;

/// A redb database: named tables that map bytes to bytes, in one file, for one process at a time.
///
/// Every method may be called from any thread; the GIL is released while the engine works. Use it as a context
/// manager, or call close(). A table exists as soon as something is put into it; one that does not exist is empty.
#[pyclass(frozen, module = "dm_memory_redb")]
pub struct Database {
    handle: Arc<Handle>,
}

#[pymethods]
impl Database {
    /// Open the file at `path`.
    ///
    /// Args:
    ///     path: The database's file.
    ///     cache_bytes: Memory the engine may use for pages.
    ///     create: Make the file where there is none. If False, a file that is missing or empty is an error.
    ///     quick_repair: Save the allocator's state with every commit: commits cost a little more, and opening after
    ///         a crash takes milliseconds instead of a walk over the whole file.
    ///     checksums: A file in which to keep a checksum of each block (a thousandth of the size): then what is read is
    ///         verified, and a damaged block is `Corrupted` before the engine sees it. See `verified`.
    ///
    /// Raises:
    ///     Locked: The file is open elsewhere.
    ///     Corrupted: It is no intact redb database.
    ///     UpgradeRequired: An older redb wrote it.
    ///     OSError: It can't be opened; FileNotFoundError and PermissionError among others.
    #[classmethod]
    #[pyo3(signature = (path, *, cache_bytes=67_108_864, create=true, quick_repair=true, checksums=None))]
    fn open(
        _cls: &Bound<'_, PyType>,
        py: Python<'_>,
        path: PathBuf,
        cache_bytes: usize,
        create: bool,
        quick_repair: bool,
        checksums: Option<PathBuf>,
    ) -> PyResult<Self> {
        let opened = py.detach(|| guarded(|| open_file(&path, cache_bytes, create, checksums)));
        let (database, blocks) = opened.map_err(|failure| failure.into_py_err(&path))?;
        Ok(Database { handle: Arc::new(Handle::new(database, path, quick_repair, blocks)) })
    }

    /// Return the value of `key`, or None.
    fn get<'py>(&self, py: Python<'py>, table: &str, key: PyBackedBytes) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let found = self.find(py, table, std::slice::from_ref(&key))?;
        Ok(found.first().and_then(Option::as_deref).map(|value| PyBytes::new(py, value)))
    }

    /// Return the values of `keys`, in their order and from one snapshot; None where there is none.
    fn get_many<'py>(&self, py: Python<'py>, table: &str, keys: Keys) -> PyResult<Bound<'py, PyList>> {
        values(py, &self.find(py, table, &keys.0)?)
    }

    /// Return at most `limit` (key, value) pairs with start <= key < end, in key order, from the end if `reverse`.
    ///
    /// The next page starts at the last key plus a zero byte, or, in reverse, ends at the last key.
    #[pyo3(signature = (table, start=None, end=None, *, limit=1000, reverse=false))]
    fn scan<'py>(
        &self,
        py: Python<'py>,
        table: &str,
        start: Option<PyBackedBytes>,
        end: Option<PyBackedBytes>,
        limit: usize,
        reverse: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let range = Range { start: start.as_deref(), end: end.as_deref(), limit, reverse };
        let found = self.handle.run(py, || {
            self.handle.read(|read| tables::view(read, table, Vec::new(), |table| tables::scan(table, &range)))
        })?;
        pairs(py, &found)
    }

    /// Return the number of entries of `table`. Does not depend on how many there are.
    fn count(&self, py: Python<'_>, table: &str) -> PyResult<u64> {
        self.handle.run(py, || self.handle.read(|read| tables::view(read, table, 0, |table| Ok(table.len()?))))
    }

    /// Return the names of the tables, sorted.
    fn tables(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.handle.run(py, || self.handle.read(tables::names))
    }

    /// Put (key, value) pairs in one transaction, replacing what the keys held. Return how many.
    ///
    /// Raises:
    ///     Busy: Another write transaction was open for longer than `timeout` seconds (None: no limit).
    #[pyo3(signature = (table, items, *, timeout=5.0))]
    fn put_many(&self, py: Python<'_>, table: &str, items: Items, timeout: Option<f64>) -> PyResult<usize> {
        let timeout = seconds(timeout)?;
        self.handle.run(py, || self.handle.write(timeout, |write| tables::put_many(write, table, &items.0)))
    }

    /// Delete `keys` in one transaction. Return how many there were; keys it does not hold are no error.
    #[pyo3(signature = (table, keys, *, timeout=5.0))]
    fn delete_many(&self, py: Python<'_>, table: &str, keys: Keys, timeout: Option<f64>) -> PyResult<usize> {
        let timeout = seconds(timeout)?;
        self.handle.run(py, || self.handle.write(timeout, |write| tables::delete_many(write, table, &keys.0)))
    }

    /// Delete every entry of `table`, and the table. Return how many entries there were.
    #[pyo3(signature = (table, *, timeout=5.0))]
    fn clear(&self, py: Python<'_>, table: &str, timeout: Option<f64>) -> PyResult<u64> {
        let timeout = seconds(timeout)?;
        self.handle.run(py, || self.handle.write(timeout, |write| tables::clear(write, table)))
    }

    /// Begin a write transaction: everything done through it is stored when it ends, or nothing.
    ///
    /// Use it as a context manager: it commits at the end and rolls back on an exception. One can be open at a time.
    ///
    /// Raises:
    ///     Busy: Another one was open for longer than `timeout` seconds (None: no limit).
    #[pyo3(signature = (*, timeout=5.0))]
    fn write(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<WriteTransaction> {
        let timeout = seconds(timeout)?;
        let cell = self.handle.run(py, || self.handle.open_transaction(timeout))?;
        Ok(WriteTransaction::new(Arc::clone(&self.handle), cell))
    }

    /// Return figures about the file: its size, pages, and bytes stored. Waits for an open write transaction.
    #[pyo3(signature = (*, timeout=5.0))]
    fn stats(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<BTreeMap<&'static str, u64>> {
        let timeout = seconds(timeout)?;
        self.handle.run(py, || {
            let mut stats = self.handle.inspect(tables::stats, timeout)?;
            stats.insert("file_bytes", file_bytes(&self.handle.path)?);
            Ok(stats)
        })
    }

    /// Read the whole file and verify every checksum: reads do not.
    ///
    /// Returns:
    ///     True if the file is intact. False if it was not and the engine repaired it: what is left need not be what
    ///     was stored.
    ///
    /// Raises:
    ///     Corrupted: It is damaged beyond repair.
    ///     Busy: A write transaction was open for longer than `timeout` seconds (None: no limit).
    #[pyo3(signature = (*, timeout=5.0))]
    fn check_integrity(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let timeout = seconds(timeout)?;
        self.handle.run(py, || self.handle.check_integrity(timeout))
    }

    /// Give space back to the file system. Return whether there was any. Slow; nobody else gets in meanwhile.
    #[pyo3(signature = (*, timeout=5.0))]
    fn compact(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let timeout = seconds(timeout)?;
        self.handle.run(py, || self.handle.exclusive(timeout, |database| Ok(database.compact()?)))
    }

    /// Roll back an open transaction, flush and let go of the file. Idempotent.
    fn close(&self, py: Python<'_>) {
        self.handle.close(py);
    }

    /// Whether all that is read is known to be what was written: checksums are kept, and the file was new, or was closed
    /// with them, or `check_integrity` found it intact.
    #[getter]
    fn verified(&self) -> bool {
        self.handle.is_verified()
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self, py: Python<'_>) -> bool {
        self.handle.is_closed(py)
    }

    /// The database's file.
    #[getter]
    fn path(&self) -> PathBuf {
        self.handle.path.clone()
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyAny>) {
        self.handle.close(py);
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let state = if self.handle.is_closed(py) { "closed" } else { "open" };
        format!("<dm_memory_redb.Database {:?} {state}>", self.handle.path)
    }
}

impl Database {
    fn find(&self, py: Python<'_>, table: &str, keys: &[PyBackedBytes]) -> PyResult<Vec<Option<Vec<u8>>>> {
        self.handle.run(py, || {
            self.handle.read(|read| {
                let nothing = vec![None; keys.len()];
                tables::view(read, table, nothing, |table| tables::get_many(table, keys))
            })
        })
    }
}

fn open_file(
    path: &Path,
    cache_bytes: usize,
    create: bool,
    checksums: Option<PathBuf>,
) -> Result<(redb::Database, Option<Arc<Blocks>>), Failure> {
    let mut builder = Builder::new();
    builder.set_cache_size(cache_bytes);
    // The engine makes an empty file a new database, which hides that everything in it is gone.
    if !create && file_bytes(path)? == 0 {
        return Err(Failure::Empty);
    }
    let Some(place) = checksums else {
        let database = if create { builder.create(path)? } else { builder.open(path)? };
        return Ok((database, None));
    };
    let (file, blocks) = VerifiedFile::open(path, place)?;
    Ok((builder.create_with_backend(file)?, Some(blocks)))
}

fn file_bytes(path: &Path) -> Result<u64, Failure> {
    Ok(fs::metadata(path).map_err(redb::Error::Io)?.len())
}
