//! Python bindings for redb: `dm_memory_redb`.

mod arguments;
mod blocks;
mod database;
mod errors;
mod guard;
mod handle;
mod tables;
mod transaction;

use pyo3::prelude::pymodule;

/// An embedded, ACID key-value store: redb, from Python.
#[pymodule(gil_used = false)]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::database::Database;
    #[pymodule_export]
    use crate::errors::{Busy, Closed, Corrupted, Error, Locked, UpgradeRequired};
    #[pymodule_export]
    use crate::transaction::WriteTransaction;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
