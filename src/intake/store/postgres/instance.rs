//! Which of several instances this one is. Instances that share a data folder each hold a file of it locked; a file nobody
//! holds proves that who held it last is dead, and what it had in hand can be given back without waiting for its lease.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::super::error::StoreError;
use super::super::open::create_private_dir;

/// The place this process holds; released by the system when it dies.
pub(in crate::intake::store) struct Instance {
    /// Told apart from every other process, dead or alive.
    pub(super) number: i64,
    _lock: File,
}

impl Instance {
    /// Takes the first place that is free; gives with it the numbers of those who died.
    pub(super) fn take(dir: &Path) -> Result<(Instance, Vec<i64>), StoreError> {
        let folder = dir.join(FOLDER);
        create_private_dir(&folder)?;
        let (mut taken, mut dead) = (None, Vec::new());
        for place in 1..=MOST {
            let path = folder.join(place.to_string());
            if taken.is_some() && !path.exists() {
                break;
            }
            let wrong = |error| StoreError::io(&path, error);
            let opened = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(&path);
            let mut file = opened.map_err(wrong)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(wrong(error)),
            }
            let mut before = String::new();
            file.read_to_string(&mut before).map_err(wrong)?;
            dead.extend(before.trim().parse::<i64>());
            if taken.is_none() {
                let number = draw()?;
                file.seek(SeekFrom::Start(0)).and_then(|_| file.set_len(0)).map_err(wrong)?;
                file.write_all(format!("{number}\n").as_bytes()).and_then(|()| file.sync_all()).map_err(wrong)?;
                taken = Some(Instance { number, _lock: file });
            }
        }
        let instance = taken.ok_or(StoreError::Locked { path: folder })?;
        Ok((instance, dead))
    }
}

/// A number nobody else draws.
fn draw() -> Result<i64, StoreError> {
    let mut bytes = [0; 8];
    let drawn = getrandom::fill(&mut bytes);
    drawn.map_err(|error| StoreError::Content { what: "instance", reason: error.to_string() })?;
    Ok(i64::from_le_bytes(bytes))
}

const FOLDER: &str = "instances";
/// More instances than a commune ever runs on one folder.
const MOST: u32 = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_left_says_who_died_and_one_that_is_held_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let (first, dead) = Instance::take(dir.path()).unwrap();
        assert!(dead.is_empty());
        let (second, dead) = Instance::take(dir.path()).unwrap();
        assert!(dead.is_empty() && first.number != second.number);
        let gone = first.number;
        drop(first);
        let (third, dead) = Instance::take(dir.path()).unwrap();
        assert_eq!(dead, [gone]);
        assert!(third.number != gone);
        let gone = second.number;
        drop(second);
        assert_eq!(Instance::take(dir.path()).unwrap().1, [gone], "a place further on is looked at too");
    }
}
