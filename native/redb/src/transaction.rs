//! `WriteTransaction`: changes to several tables that are stored together or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyList};

use crate::arguments::{Items, Keys, pairs, values};
use crate::errors::Failure;
use crate::handle::{Cell, Handle, definition, lock};
use crate::tables::{self, Range};

const ENDED: &str = "the transaction is over";

/// A write transaction, made by Database.write(). It sees its own changes; readers see them once it is committed.
#[pyclass(frozen, module = "dm_memory_redb")]
pub struct WriteTransaction {
    handle: Arc<Handle>,
    cell: Arc<Cell>,
    ended: AtomicBool,
}

#[pymethods]
impl WriteTransaction {
    /// Return the value of `key` as this transaction sees it, or None.
    fn get<'py>(&self, py: Python<'py>, table: &str, key: PyBackedBytes) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let found = self.find(py, table, std::slice::from_ref(&key))?;
        Ok(found.first().and_then(Option::as_deref).map(|value| PyBytes::new(py, value)))
    }

    /// Return the values of `keys` as this transaction sees them, in their order; None where there is none.
    fn get_many<'py>(&self, py: Python<'py>, table: &str, keys: Keys) -> PyResult<Bound<'py, PyList>> {
        values(py, &self.find(py, table, &keys.0)?)
    }

    /// Return at most `limit` (key, value) pairs as this transaction sees them; see Database.scan.
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
        pairs(py, &self.change(py, |write| tables::scan(&write.open_table(definition(table)?)?, &range))?)
    }

    /// Put one entry, replacing what the key held.
    fn put(&self, py: Python<'_>, table: &str, key: PyBackedBytes, value: PyBackedBytes) -> PyResult<()> {
        let item = [(key, value)];
        self.change(py, |write| tables::put_many(write, table, &item).map(|_| ()))
    }

    /// Put (key, value) pairs, replacing what the keys held. Return how many.
    fn put_many(&self, py: Python<'_>, table: &str, items: Items) -> PyResult<usize> {
        self.change(py, |write| tables::put_many(write, table, &items.0))
    }

    /// Delete `keys`. Return how many there were.
    fn delete_many(&self, py: Python<'_>, table: &str, keys: Keys) -> PyResult<usize> {
        self.change(py, |write| tables::delete_many(write, table, &keys.0))
    }

    /// Delete every entry of `table`, and the table. Return how many entries there were.
    fn clear(&self, py: Python<'_>, table: &str) -> PyResult<u64> {
        self.change(py, |write| tables::clear(write, table))
    }

    /// Store everything, durably, and end the transaction.
    fn commit(&self, py: Python<'_>) -> PyResult<()> {
        self.finish(py, |write| Ok(write.commit()?))
    }

    /// Forget everything and end the transaction.
    fn rollback(&self, py: Python<'_>) -> PyResult<()> {
        self.finish(py, |write| Ok(write.abort()?))
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (kind, _value, _traceback))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: Option<Bound<'_, PyAny>>,
        _value: Option<Bound<'_, PyAny>>,
        _traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        if self.ended.load(Ordering::Relaxed) {
            return Ok(()); // by hand, inside the block
        }
        match kind {
            None => self.commit(py),
            // What is on its way out says what happened; that the database was closed meanwhile does not matter then.
            Some(_) if self.is_over(py) => Ok(()),
            Some(_) => self.rollback(py),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let state = if self.is_over(py) { "over" } else { "open" };
        format!("<dm_memory_redb.WriteTransaction {:?} {state}>", self.handle.path)
    }
}

impl WriteTransaction {
    pub fn new(handle: Arc<Handle>, cell: Arc<Cell>) -> Self {
        WriteTransaction { handle, cell, ended: AtomicBool::new(false) }
    }

    fn find(&self, py: Python<'_>, table: &str, keys: &[PyBackedBytes]) -> PyResult<Vec<Option<Vec<u8>>>> {
        self.change(py, |write| tables::get_many(&write.open_table(definition(table)?)?, keys))
    }

    fn change<T: Send>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(&redb::WriteTransaction) -> Result<T, Failure> + Send,
    ) -> PyResult<T> {
        self.handle.run(py, || match lock(&self.cell).as_ref() {
            None => Err(Failure::Closed(ENDED)),
            Some(write) => call(write),
        })
    }

    fn finish(
        &self,
        py: Python<'_>,
        call: impl FnOnce(redb::WriteTransaction) -> Result<(), Failure> + Send,
    ) -> PyResult<()> {
        self.handle.run(py, || {
            let write = lock(&self.cell).take().ok_or(Failure::Closed(ENDED))?;
            self.ended.store(true, Ordering::Relaxed);
            let result = call(write);
            self.handle.end();
            result
        })
    }

    fn is_over(&self, py: Python<'_>) -> bool {
        py.detach(|| lock(&self.cell).is_none())
    }
}

impl Drop for WriteTransaction {
    /// A transaction nobody ended is rolled back, like one that failed.
    fn drop(&mut self) {
        self.handle.abandon(&self.cell);
    }
}
