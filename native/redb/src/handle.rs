//! An open database, shared by the Python objects that use it.

use std::io;
use std::mem;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use pyo3::{PyResult, Python};
use redb::{Database, ReadTransaction, ReadableDatabase, TableDefinition, WriteTransaction};

use crate::blocks::Blocks;
use crate::errors::Failure;
use crate::guard::{guarded, let_go};

pub type Bytes = &'static [u8];

/// Every table of this package maps bytes to bytes. The engine panics over a name that is empty.
pub fn definition(name: &str) -> Result<TableDefinition<'_, Bytes, Bytes>, Failure> {
    if name.is_empty() { Err(Failure::Name) } else { Ok(TableDefinition::new(name)) }
}

/// Where a write transaction lives while it is open; taken out when it ends, by whoever ends it.
pub type Cell = Mutex<Option<WriteTransaction>>;

const CLOSED: &str = "the database is closed";
const FORKED: &str = "the database was opened before a fork and belongs to the parent process";

/// The engine's database with the rules around it: who may write, when it is closed, whose process it is.
///
/// Locks are only waited for without the GIL. Their order: `database`, `current`, a transaction's cell, `writing`.
/// `writing` says whether a writer is at work; its mutex is held only to look at it and to change it.
pub struct Handle {
    pub path: PathBuf,
    quick_repair: bool,
    owner: u32,
    /// A call panicked: nothing but closing is possible.
    broken: AtomicBool,
    /// The engine found damage: it must not write on closing.
    suspect: AtomicBool,
    /// The engine was asked to write or to check. Where it was not, it must not write on closing either.
    touched: AtomicBool,
    /// The checksums of the file's blocks, where they are kept.
    blocks: Option<Arc<Blocks>>,
    database: RwLock<Option<Database>>,
    writing: Mutex<bool>,
    written: Condvar,
    current: Mutex<Weak<Cell>>,
}

impl Handle {
    pub fn new(database: Database, path: PathBuf, quick_repair: bool, blocks: Option<Arc<Blocks>>) -> Self {
        Handle {
            path,
            quick_repair,
            owner: process::id(),
            broken: AtomicBool::new(false),
            suspect: AtomicBool::new(false),
            touched: AtomicBool::new(false),
            blocks,
            database: RwLock::new(Some(database)),
            writing: Mutex::new(false),
            written: Condvar::new(),
            current: Mutex::new(Weak::new()),
        }
    }

    /// Run `call` without the GIL and with panics caught. After a panic only closing is possible.
    pub fn run<T: Send>(&self, py: Python<'_>, call: impl FnOnce() -> Result<T, Failure> + Send) -> PyResult<T> {
        py.detach(|| self.usable().and_then(|()| self.watched(call))).map_err(|failure| failure.into_py_err(&self.path))
    }

    fn usable(&self) -> Result<(), Failure> {
        if self.forked() {
            Err(Failure::Closed(FORKED))
        } else if self.broken.load(Ordering::Relaxed) {
            Err(Failure::Panic("an earlier call found it".into()))
        } else {
            Ok(())
        }
    }

    fn watched<T>(&self, call: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
        let result = guarded(call);
        match result {
            Err(Failure::Panic(_)) => self.doubt(&self.broken),
            Err(Failure::Engine(redb::Error::Corrupted(_))) => self.doubt(&self.suspect),
            Err(Failure::Engine(redb::Error::Io(ref error))) if error.kind() == io::ErrorKind::InvalidData => {
                self.doubt(&self.suspect);
            }
            _ => {}
        }
        result
    }

    fn doubt(&self, why: &AtomicBool) {
        why.store(true, Ordering::Relaxed);
        self.believe(false);
    }

    fn believe(&self, sound: bool) {
        if let Some(blocks) = &self.blocks {
            blocks.set_sound(sound);
        }
    }

    /// Whether what is read is known to be what was written.
    pub fn is_verified(&self) -> bool {
        self.blocks.as_ref().is_some_and(|blocks| blocks.is_sound())
    }

    /// Read the whole file. What is then known of its blocks can be relied on if it is intact.
    pub fn check_integrity(&self, timeout: Option<Duration>) -> Result<bool, Failure> {
        let intact = self.exclusive(timeout, |database| Ok(database.check_integrity()?))?;
        self.believe(intact);
        Ok(intact)
    }

    /// Read from one snapshot.
    pub fn read<T>(&self, call: impl FnOnce(&ReadTransaction) -> Result<T, Failure>) -> Result<T, Failure> {
        self.with(|database| call(&database.begin_read()?))
    }

    /// Write in a transaction of its own.
    pub fn write<T>(
        &self,
        timeout: Option<Duration>,
        call: impl FnOnce(&WriteTransaction) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let _turn = self.turn(timeout)?;
        self.with(|database| {
            let transaction = self.begin(database)?;
            let result = call(&transaction)?;
            transaction.commit()?;
            Ok(result)
        })
    }

    /// Look through a write transaction that is thrown away: the engine shows its statistics there only.
    pub fn inspect<T>(
        &self,
        call: impl FnOnce(&WriteTransaction) -> Result<T, Failure>,
        timeout: Option<Duration>,
    ) -> Result<T, Failure> {
        let _turn = self.turn(timeout)?;
        self.with(|database| {
            let transaction = self.begin(database)?;
            let result = call(&transaction)?;
            transaction.abort()?;
            Ok(result)
        })
    }

    /// Have the database alone: no transaction is open and no reader inside.
    pub fn exclusive<T>(
        &self,
        timeout: Option<Duration>,
        call: impl FnOnce(&mut Database) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let _turn = self.turn(timeout)?;
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        call(database.as_mut().ok_or(Failure::Closed(CLOSED))?)
    }

    /// Begin a transaction that outlives the call. `end` must be called once it is over.
    pub fn open_transaction(&self, timeout: Option<Duration>) -> Result<Arc<Cell>, Failure> {
        let turn = self.turn(timeout)?;
        self.with(|database| {
            let cell = Arc::new(Mutex::new(Some(self.begin(database)?)));
            *lock(&self.current) = Arc::downgrade(&cell);
            mem::forget(turn);
            Ok(cell)
        })
    }

    /// Let the next writer in.
    pub fn end(&self) {
        *lock(&self.writing) = false;
        self.written.notify_one();
    }

    /// Roll back a transaction that its user let go of without ending it.
    pub fn abandon(&self, cell: &Cell) {
        let transaction = lock(cell).take();
        if self.forked() {
            mem::forget(transaction);
        } else if let Some(transaction) = transaction {
            self.discard(transaction);
            self.end();
        }
    }

    /// Drop a transaction or the database. Dropping a transaction rolls it back, dropping the database closes it.
    fn discard<T>(&self, owned: T) {
        let [broken, suspect, touched] =
            [&self.broken, &self.suspect, &self.touched].map(|flag| flag.load(Ordering::Relaxed));
        if broken || suspect || !touched {
            let_go(owned);
        } else {
            let dropped = self.watched(|| {
                drop(owned);
                Ok(())
            });
            // Where that panicked, nothing committed is lost: the next open repairs the file or reports it.
            drop(dropped);
        }
    }

    /// Roll back an open transaction, flush, unlock the file. Idempotent.
    pub fn close(&self, py: Python<'_>) {
        if !self.forked() {
            py.detach(|| self.shut());
        }
    }

    pub fn is_closed(&self, py: Python<'_>) -> bool {
        let gone = || self.database.read().unwrap_or_else(PoisonError::into_inner).is_none();
        self.forked() || py.detach(gone)
    }

    fn shut(&self) {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        let open = lock(&self.current).upgrade();
        if let Some(transaction) = open.and_then(|cell| lock(&cell).take()) {
            self.discard(transaction);
            self.end();
        }
        if let Some(database) = database.take() {
            self.discard(database);
        }
    }

    fn forked(&self) -> bool {
        self.owner != process::id()
    }

    /// Keep the database open for the length of `call`.
    fn with<T>(&self, call: impl FnOnce(&Database) -> Result<T, Failure>) -> Result<T, Failure> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        call(database.as_ref().ok_or(Failure::Closed(CLOSED))?)
    }

    fn begin(&self, database: &Database) -> Result<WriteTransaction, Failure> {
        let mut transaction = database.begin_write()?;
        transaction.set_quick_repair(self.quick_repair);
        Ok(transaction)
    }

    fn turn(&self, timeout: Option<Duration>) -> Result<Turn<'_>, Failure> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut writing = lock(&self.writing);
        while *writing {
            writing = match deadline {
                None => self.written.wait(writing).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(Failure::Busy);
                    }
                    self.written.wait_timeout(writing, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        *writing = true;
        self.touched.store(true, Ordering::Relaxed);
        Ok(Turn(self))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let database = self.database.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if self.forked() {
            // Closing writes to the file, which is the parent's.
            mem::forget(database);
        } else if let Some(database) = database {
            self.discard(database);
        }
    }
}

/// The right to write, given back when it goes out of scope.
struct Turn<'a>(&'a Handle);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
