//! What Python hands in, held so that it can be read without the GIL, and what it gets back.

use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyList};

use crate::tables::Pair;

/// A timeout in seconds; None waits for ever.
pub fn seconds(timeout: Option<f64>) -> PyResult<Option<Duration>> {
    timeout
        .map(Duration::try_from_secs_f64)
        .transpose()
        .map_err(|_| PyValueError::new_err("timeout must be a number of seconds, 0 or more, or None"))
}

/// Any iterable of bytes.
pub struct Keys(pub Vec<PyBackedBytes>);

impl<'py> FromPyObject<'_, 'py> for Keys {
    type Error = PyErr;

    fn extract(iterable: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let keys = iterable.try_iter()?.map(|key| Ok(key?.extract::<PyBackedBytes>()?));
        keys.collect::<PyResult<_>>().map(Keys)
    }
}

/// Any iterable of (key, value) tuples of bytes.
pub struct Items(pub Vec<(PyBackedBytes, PyBackedBytes)>);

impl<'py> FromPyObject<'_, 'py> for Items {
    type Error = PyErr;

    fn extract(iterable: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        iterable.try_iter()?.map(|item| item?.extract()).collect::<PyResult<_>>().map(Items)
    }
}

pub fn values<'py>(py: Python<'py>, found: &[Option<Vec<u8>>]) -> PyResult<Bound<'py, PyList>> {
    PyList::new(py, found.iter().map(|value| value.as_deref().map(|value| PyBytes::new(py, value))))
}

pub fn pairs<'py>(py: Python<'py>, found: &[Pair]) -> PyResult<Bound<'py, PyList>> {
    PyList::new(py, found.iter().map(|(key, value)| (PyBytes::new(py, key), PyBytes::new(py, value))))
}
