//! Writing many small files: by the thread that makes them and a second one.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use crate::{Error, Result};

/// How much text goes to the second thread at once, in bytes. At most three such batches are in memory.
const BATCH: usize = 256 << 10;

type Batch = Vec<(PathBuf, String)>;

/// Creates files. Creating one takes longer than making its text, so a second thread helps as soon as there are many.
#[derive(Debug, Default)]
pub(super) struct Files {
    batch: Batch,
    bytes: usize,
    helper: Option<Helper>,
}

#[derive(Debug)]
struct Helper {
    batches: SyncSender<Batch>,
    thread: JoinHandle<Result<()>>,
}

impl Files {
    /// Writes a new file, now or later.
    ///
    /// Errors: those of this file and of files before it.
    pub(super) fn write(&mut self, path: PathBuf, text: String) -> Result<()> {
        if text.len() >= BATCH {
            return create(&path, &text);
        }
        self.bytes += text.len();
        self.batch.push((path, text));
        if self.bytes < BATCH {
            return Ok(());
        }
        self.bytes = 0;
        self.share()
    }

    /// Writes what is left, and waits until everything is written.
    pub(super) fn finish(&mut self) -> Result<()> {
        let here = create_all(&std::mem::take(&mut self.batch));
        self.join().and(here)
    }

    /// Gives the batch to the helper; writes it here if the helper is busy.
    fn share(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        if self.helper.is_none() {
            self.helper = Helper::start().ok();
        }
        let Some(helper) = &self.helper else {
            return create_all(&batch);
        };
        match helper.batches.try_send(batch) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(batch)) => create_all(&batch),
            // The helper ends at its first error.
            Err(TrySendError::Disconnected(batch)) => self.join().and_then(|()| create_all(&batch)),
        }
    }

    fn join(&mut self) -> Result<()> {
        let Some(Helper { batches, thread }) = self.helper.take() else {
            return Ok(());
        };
        drop(batches);
        match thread.join() {
            Ok(done) => done,
            // Nothing there panics; if it did, the caller must not take the files for written.
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // Whoever drops the files before they are finished removes them: nobody may write any more then.
        self.batch.clear();
        let _ = self.join();
    }
}

impl Helper {
    fn start() -> io::Result<Self> {
        let (batches, received) = sync_channel::<Batch>(1);
        let thread = thread::Builder::new()
            .name("sessionlog-export".to_owned())
            .spawn(move || received.iter().try_for_each(|batch| create_all(&batch)))?;
        Ok(Self { batches, thread })
    }
}

fn create_all(batch: &[(PathBuf, String)]) -> Result<()> {
    batch.iter().try_for_each(|(path, text)| create(path, text))
}

fn create(path: &Path, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(Error::io("create", path))?;
    file.write_all(text.as_bytes())
        .map_err(Error::io("write", path))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn written(dir: &Path, count: usize, text: &str) -> Result<()> {
        let mut files = Files::default();
        for number in 0..count {
            files.write(dir.join(number.to_string()), format!("{number} {text}"))?;
        }
        files.finish()
    }

    #[test]
    fn every_file_is_written_whichever_thread_does_it() {
        for len in [0, 1, 40_000, BATCH - 100, BATCH + 1] {
            let dir = tempfile::tempdir().unwrap();
            let text = "x".repeat(len);
            written(dir.path(), 40, &text).unwrap();
            for number in 0..40 {
                let file = fs::read_to_string(dir.path().join(number.to_string())).unwrap();
                assert_eq!(file, format!("{number} {text}"));
            }
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_is_an_error_whichever_thread_meets_it() {
        for bad in 0..40 {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(bad.to_string()), "mine").unwrap();
            let error = written(dir.path(), 40, &"x".repeat(40_000)).unwrap_err();
            let said = error.to_string();
            assert!(said.contains(&format!("/{bad}")), "{said}");
        }
    }
}
