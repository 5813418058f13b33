//! The removal of files that have expired, bit by bit.

use std::fs::{self, ReadDir};
use std::path::Path;
use std::time::Duration;

use super::{ValueFiles, file};

/// How many files each write looks at to find expired ones.
const SWEPT: usize = 4;
/// When a temporary file was left by a process that died.
const STRAY: Duration = Duration::from_secs(3600);

/// How far it got.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    shard: u8,
    files: Option<ReadDir>,
}

impl ValueFiles {
    /// Looks at the next few files. One caller at a time: nobody waits for it.
    pub(super) fn sweep_some(&self) {
        #[cfg(not(feature = "__shuttle"))]
        let Ok(mut sweep) = self.sweep.try_lock() else {
            return;
        };
        #[cfg(feature = "__shuttle")]
        let mut sweep = crate::sync::lock(&self.sweep);
        for _ in 0..SWEPT {
            let shard = sweep.shard;
            match sweep.files.as_mut().and_then(Iterator::next) {
                Some(Ok(file)) => self.sweep_file(&file.path(), shard),
                Some(Err(_)) => {}
                None => {
                    sweep.shard = shard.wrapping_add(1);
                    sweep.files = fs::read_dir(self.shard(sweep.shard)).ok();
                }
            }
        }
    }

    fn sweep_file(&self, file: &Path, shard: u8) {
        let temporary = file
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let dead = || matches!(file::beginning(file, self.clock.wall()), Ok(None));
        let _held = if temporary {
            if age(file).is_none_or(|age| age <= STRAY) {
                return;
            }
            None
        } else {
            if !dead() {
                return;
            }
            match self.try_exclusively(shard) {
                // Somebody may have written it anew.
                Ok(Some(held)) if dead() => Some(held),
                _ => return,
            }
        };
        let _ = fs::remove_file(file);
    }
}

fn age(file: &Path) -> Option<Duration> {
    let metadata = fs::symlink_metadata(file).ok()?;
    metadata.modified().ok()?.elapsed().ok()
}
