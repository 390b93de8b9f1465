//! Checksums of a file's blocks, kept beside it: the engine verifies nothing it reads, so this does.
//!
//! redb keeps checksums in its trees and looks at them in `check_integrity` only, which reads the whole file. Here every
//! block of 4 KiB has a CRC-32 in memory; a block that is read is compared, so damage is an error before the engine sees
//! it, and costs what is read instead of what there is. On closing they are written to a file of their own:
//! 8 bytes of magic, the database's length (u64), a CRC-32 for each block (u32, 0: not known), and a CRC-32 of all that
//! (u32); numbers little-endian. That file goes before the database is changed, so one that is there speaks of the
//! database as it is; where it came back after a loss of power, the first block, which every commit changes, says so.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::ops::{Bound, Range};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

use crate::errors::Failure;
use crate::handle::lock;

const BLOCK: usize = 4096;
const MAGIC: &[u8; 8] = b"redbsum\x01";
const FRAME: usize = MAGIC.len() + size_of::<u64>() + size_of::<u32>();

/// A block's checksum; 0 stands for one that is not known.
fn checksum(block: &[u8]) -> u32 {
    crc32fast::hash(block).max(1)
}

/// What is known of the blocks; shared by the backend inside the engine and the handle around it.
#[derive(Debug)]
pub struct Blocks {
    place: PathBuf,
    /// Every block that the engine relies on is known to be what it wrote.
    sound: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sums: Vec<u32>,
    loaded: bool,
    /// The file of checksums may be there.
    kept: bool,
}

impl Blocks {
    pub fn is_sound(&self) -> bool {
        self.sound.load(Ordering::Relaxed)
    }

    /// Say that the whole file was verified, or that it can't be relied on.
    pub fn set_sound(&self, sound: bool) {
        self.sound.store(sound, Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Take over what was kept, if it speaks of this file.
    fn load(&self, file: &FileBackend) -> io::Result<()> {
        let length = file.len()?;
        let mut state = self.state();
        if state.loaded {
            return Ok(());
        }
        (state.loaded, state.kept) = (true, true);
        state.sums = vec![0; blocks(length)];
        let known = fs::read(&self.place).ok().and_then(|kept| parse(&kept, length));
        if let Some(sums) = known
            && length > 0
            && sums[0] == checksum(&read_block(file, 0, length)?)
        {
            state.sums = sums;
            self.set_sound(true);
        } else {
            self.set_sound(length == 0);
        }
        Ok(())
    }

    /// Write down what is known. Where that fails, the next one to open the file has to verify it.
    fn keep(&self, length: u64) {
        let mut state = self.state();
        state.sums.resize(blocks(length), 0);
        let mut kept = Vec::with_capacity(FRAME + state.sums.len() * size_of::<u32>());
        kept.extend_from_slice(MAGIC);
        kept.extend_from_slice(&length.to_le_bytes());
        kept.extend(state.sums.iter().flat_map(|sum| sum.to_le_bytes()));
        kept.extend_from_slice(&crc32fast::hash(&kept).to_le_bytes());
        if create_private(&self.place).and_then(|mut file| file.write_all(&kept)).is_err() {
            let _ = fs::remove_file(&self.place);
        }
    }

    /// Remove what was written down: the file is about to differ.
    fn forget(&self) {
        let mut state = self.state();
        if state.kept {
            let _ = fs::remove_file(&self.place);
            state.kept = false;
        }
    }

    fn compare(&self, number: usize, block: &[u8]) -> io::Result<()> {
        let found = checksum(block);
        let mut state = self.state();
        let Some(known) = state.sums.get_mut(number) else { return Ok(()) };
        if *known == 0 {
            *known = found;
        }
        if *known == found {
            return Ok(());
        }
        drop(state);
        self.set_sound(false);
        Err(io::Error::new(io::ErrorKind::InvalidData, format!("block {number} is not what was written")))
    }

    fn note(&self, number: usize, block: &[u8]) {
        let sum = checksum(block);
        let mut state = self.state();
        if state.sums.len() <= number {
            state.sums.resize(number + 1, 0);
        }
        state.sums[number] = sum;
    }
}

/// The engine's own file, every block of it verified when it is read.
#[derive(Debug)]
pub struct VerifiedFile {
    file: FileBackend,
    blocks: Arc<Blocks>,
}

impl VerifiedFile {
    /// Open `path`, whose checksums are kept at `place`. Nothing is read before the engine has locked the file.
    pub fn open(path: &Path, place: PathBuf) -> Result<(Self, Arc<Blocks>), Failure> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = FileBackend::new(file.map_err(redb::Error::Io)?)?;
        let state = Mutex::new(State::default());
        let blocks = Arc::new(Blocks { place, sound: AtomicBool::new(false), state });
        Ok((VerifiedFile { file, blocks: Arc::clone(&blocks) }, blocks))
    }

    /// Call `each` with every block that overlaps `data`, which lies at `offset`; at its edges blocks are read whole.
    fn each_block(
        &self,
        offset: u64,
        data: &[u8],
        mut each: impl FnMut(usize, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        for number in overlapped(offset, data.len()) {
            let start = at(number);
            match start.checked_sub(offset).and_then(|from| usize::try_from(from).ok()) {
                Some(from) if from + BLOCK <= data.len() => each(number, &data[from..from + BLOCK])?,
                _ => each(number, &read_block(&self.file, number, self.file.len()?)?)?,
            }
        }
        Ok(())
    }

    fn locked(&self, locked: Result<bool, BackendError>) -> Result<bool, BackendError> {
        if matches!(locked, Ok(true)) {
            self.blocks.load(&self.file)?;
        }
        locked
    }
}

impl StorageBackend for VerifiedFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)?;
        self.each_block(offset, out, |number, block| self.blocks.compare(number, block))
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.blocks.forget();
        self.file.set_len(length)?;
        self.blocks.state().sums.resize(blocks(length), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.blocks.forget();
        if let Err(error) = self.file.write(offset, data) {
            self.blocks.set_sound(false);
            return Err(error);
        }
        self.each_block(offset, data, |number, block| {
            self.blocks.note(number, block);
            Ok(())
        })
    }

    fn close(&self) -> io::Result<()> {
        if self.blocks.is_sound()
            && let Ok(length) = self.file.len()
        {
            self.blocks.keep(length);
        }
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.locked(self.file.try_lock_range(start, end))
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.locked(self.file.try_lock_shared_range(start, end))
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }
}

fn blocks(length: u64) -> usize {
    usize::try_from(length.div_ceil(BLOCK as u64)).unwrap_or(usize::MAX)
}

fn at(number: usize) -> u64 {
    number as u64 * BLOCK as u64
}

fn overlapped(offset: u64, length: usize) -> Range<usize> {
    let first = usize::try_from(offset / BLOCK as u64).unwrap_or(usize::MAX);
    first..blocks(offset + length as u64)
}

fn read_block(file: &FileBackend, number: usize, length: u64) -> io::Result<Vec<u8>> {
    let there = length.saturating_sub(at(number)).min(BLOCK as u64);
    let mut block = vec![0; usize::try_from(there).unwrap_or(BLOCK)];
    file.read(at(number), &mut block)?;
    Ok(block)
}

/// Return the checksums in what was kept, if all of it is intact and speaks of a file of this length.
fn parse(kept: &[u8], length: u64) -> Option<Vec<u32>> {
    let (content, sum) = kept.split_last_chunk::<4>()?;
    let rest = content.strip_prefix(MAGIC)?;
    let (stated, sums) = rest.split_first_chunk::<8>()?;
    let intact = crc32fast::hash(content) == u32::from_le_bytes(*sum) && u64::from_le_bytes(*stated) == length;
    let (sums, odd) = sums.as_chunks::<4>();
    (intact && odd.is_empty() && sums.len() == blocks(length))
        .then(|| sums.iter().map(|sum| u32::from_le_bytes(*sum)).collect())
}

/// Create or empty a file that only its owner may read.
fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
