//! What can be done to a table, in a read or a write transaction. No Python here.

use std::collections::BTreeMap;
use std::ops::Bound;

use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, TableError, TableHandle, WriteTransaction};

use crate::errors::Failure;
use crate::handle::definition;

pub type Pair = (Vec<u8>, Vec<u8>);

/// Which entries a scan returns: from `start` (in) to `end` (out), at most `limit`, from the end where `reverse`.
pub struct Range<'a> {
    pub start: Option<&'a [u8]>,
    pub end: Option<&'a [u8]>,
    pub limit: usize,
    pub reverse: bool,
}

impl Range<'_> {
    fn is_empty(&self) -> bool {
        matches!((self.start, self.end), (Some(start), Some(end)) if start >= end)
    }
}

/// Let `call` see the table, or return `otherwise` where there is none yet.
pub fn view<T>(
    transaction: &ReadTransaction,
    table: &str,
    otherwise: T,
    call: impl FnOnce(&redb::ReadOnlyTable<&'static [u8], &'static [u8]>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    match transaction.open_table(definition(table)?) {
        Ok(table) => call(&table),
        Err(TableError::TableDoesNotExist(_)) => Ok(otherwise),
        Err(error) => Err(error.into()),
    }
}

pub fn get_many<K: AsRef<[u8]>>(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    keys: &[K],
) -> Result<Vec<Option<Vec<u8>>>, Failure> {
    keys.iter().map(|key| Ok(table.get(key.as_ref())?.map(|value| value.value().to_vec()))).collect()
}

pub fn scan(table: &impl ReadableTable<&'static [u8], &'static [u8]>, range: &Range<'_>) -> Result<Vec<Pair>, Failure> {
    if range.is_empty() {
        return Ok(Vec::new());
    }
    let lower = range.start.map_or(Bound::Unbounded, Bound::Included);
    let upper = range.end.map_or(Bound::Unbounded, Bound::Excluded);
    let entries = table.range::<&[u8]>((lower, upper))?;
    if range.reverse { collect(entries.rev(), range.limit) } else { collect(entries, range.limit) }
}

type Entry<'a> = (redb::AccessGuard<'a, &'static [u8]>, redb::AccessGuard<'a, &'static [u8]>);

fn collect<'a>(
    entries: impl Iterator<Item = Result<Entry<'a>, redb::StorageError>>,
    limit: usize,
) -> Result<Vec<Pair>, Failure> {
    // The first error ends the scan: going on would leave entries out without saying so.
    entries
        .take(limit)
        .map(|entry| {
            let (key, value) = entry?;
            Ok((key.value().to_vec(), value.value().to_vec()))
        })
        .collect()
}

pub fn put_many<K: AsRef<[u8]>, V: AsRef<[u8]>>(
    transaction: &WriteTransaction,
    table: &str,
    items: &[(K, V)],
) -> Result<usize, Failure> {
    let mut table = transaction.open_table(definition(table)?)?;
    for (key, value) in items {
        table.insert(key.as_ref(), value.as_ref())?;
    }
    Ok(items.len())
}

pub fn delete_many<K: AsRef<[u8]>>(transaction: &WriteTransaction, table: &str, keys: &[K]) -> Result<usize, Failure> {
    let mut table = transaction.open_table(definition(table)?)?;
    let mut removed = 0;
    for key in keys {
        removed += usize::from(table.remove(key.as_ref())?.is_some());
    }
    Ok(removed)
}

/// Remove every entry; return how many there were.
pub fn clear(transaction: &WriteTransaction, table: &str) -> Result<u64, Failure> {
    let removed = transaction.open_table(definition(table)?)?.len()?;
    transaction.delete_table(definition(table)?)?;
    Ok(removed)
}

pub fn names(transaction: &ReadTransaction) -> Result<Vec<String>, Failure> {
    let mut names: Vec<String> = transaction.list_tables()?.map(|table| table.name().to_owned()).collect();
    names.sort();
    Ok(names)
}

pub fn stats(transaction: &WriteTransaction) -> Result<BTreeMap<&'static str, u64>, Failure> {
    let stats = transaction.stats()?;
    Ok(BTreeMap::from([
        ("tables", transaction.list_tables()?.count() as u64),
        ("tree_height", u64::from(stats.tree_height())),
        ("allocated_pages", stats.allocated_pages()),
        ("leaf_pages", stats.leaf_pages()),
        ("branch_pages", stats.branch_pages()),
        ("stored_bytes", stats.stored_bytes()),
        ("metadata_bytes", stats.metadata_bytes()),
        ("fragmented_bytes", stats.fragmented_bytes()),
        ("page_size", stats.page_size() as u64),
    ]))
}
