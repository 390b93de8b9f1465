//! What the engine can answer, as Python exceptions.

use std::io;
use std::path::Path;

use pyo3::exceptions::{PyException, PyOSError, PyValueError};
use pyo3::{PyErr, create_exception};

create_exception!(
    dm_memory_redb,
    Error,
    PyException,
    "The base of every exception of this package. I/O trouble (no space, no permission) is an OSError instead."
);
create_exception!(
    dm_memory_redb,
    Corrupted,
    Error,
    "The file is not an intact redb database: damaged, cut short, empty, or something else altogether."
);
create_exception!(
    dm_memory_redb,
    Locked,
    Error,
    "Another process, or another Database object of this one, has the file open. redb admits one at a time."
);
create_exception!(
    dm_memory_redb,
    Closed,
    Error,
    "The database or the transaction is closed, or belongs to the process this one was forked from."
);
create_exception!(
    dm_memory_redb,
    Busy,
    Error,
    "Another write transaction of this Database was still open when the timeout was over."
);
create_exception!(
    dm_memory_redb,
    UpgradeRequired,
    Error,
    "The file was written by an older redb, in a format that this one can't read."
);

/// Trouble on the way to Python. Made without the GIL, turned into an exception with it.
#[derive(Debug)]
pub enum Failure {
    Engine(redb::Error),
    Panic(String),
    Closed(&'static str),
    Busy,
    Empty,
    Name,
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::Engine(error.into())
    }
}

impl Failure {
    /// Turn into the exception that tells a caller what to do; `path` is the database's file.
    pub fn into_py_err(self, path: &Path) -> PyErr {
        let file = path.display();
        match self {
            Failure::Engine(error) => engine_error(error, path),
            Failure::Panic(what) => Corrupted::new_err(format!("{file}: the engine gave up on a damaged file: {what}")),
            Failure::Closed(what) => Closed::new_err(format!("{file}: {what}")),
            Failure::Busy => Busy::new_err(format!("{file}: another write transaction is open")),
            Failure::Name => PyValueError::new_err("a table's name must not be empty"),
            Failure::Empty => Corrupted::new_err(format!("{file}: the file is empty")),
        }
    }
}

fn engine_error(error: redb::Error, path: &Path) -> PyErr {
    let message = format!("{}: {error}", path.display());
    match error {
        redb::Error::Io(error) => io_error(error, path),
        redb::Error::Corrupted(_)
        | redb::Error::RepairAborted
        | redb::Error::LockPoisoned(_)
        | redb::Error::TransactionPoisoned => Corrupted::new_err(message),
        redb::Error::DatabaseAlreadyOpen => Locked::new_err(message),
        redb::Error::DatabaseClosed => Closed::new_err(message),
        redb::Error::TransactionInProgress => Busy::new_err(message),
        redb::Error::UpgradeRequired(_) => UpgradeRequired::new_err(message),
        redb::Error::ValueTooLarge(_) => PyValueError::new_err(message),
        _ => Error::new_err(message),
    }
}

/// A file of another kind and one that ends too early come as I/O errors of the engine's own making.
fn io_error(error: io::Error, path: &Path) -> PyErr {
    match (error.raw_os_error(), error.kind()) {
        (Some(code), _) => {
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default().to_owned();
            PyOSError::new_err((code, text, path.as_os_str().to_owned()))
        }
        (None, io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
            Corrupted::new_err(format!("{}: {error}", path.display()))
        }
        (None, _) => PyOSError::new_err(format!("{}: {error}", path.display())),
    }
}
