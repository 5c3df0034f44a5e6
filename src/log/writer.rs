//! The writer of one log: frames out, one positional write per commit.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::format::{
    Commit, FrameSpec, Kind, SEGMENT_HEADER_LEN, SegmentHeader, encode_frame, first_link,
};
use crate::storage::{Storage, StorageFile};
use crate::{Error, Result, Version};

use super::active::{Active, WriterOptions};
use super::encode::{Draft, check_size, encode_envelopes, encode_seal};
use super::pending::Pending;
use super::reader::{Scanned, Since};

/// Where a new log begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Birth {
    pub(crate) log_id: [u8; 16],
    pub(crate) salt: u32,
    pub(crate) time_us: u64,
}

/// The one writer of a log. Its owner holds the lock.
#[derive(Debug)]
pub(crate) struct LogWriter {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    options: WriterOptions,
    log_id: [u8; 16],
    salt: u32,
    epoch: u32,
    link: u32,
    next_version: u64,
    durable: u64,
    /// The watermark in the last frame, so that closing knows whether a MARK would say more.
    marked: u64,
    segment: Active,
    buf: Vec<u8>,
    /// Buffered events, which come after `next_version`.
    pending: Pending,
    poisoned: bool,
    /// The commit that the last sealed segment ends with, and about how long the sealed ones are, until somebody asks.
    rolled: Option<(Since, u64)>,
}

/// What must be synced before an append is acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Unsynced {
    pub(crate) file: Arc<dyn StorageFile>,
    pub(crate) path: PathBuf,
    /// Every event up to here is durable once `file` is synced.
    pub(crate) version: Version,
}

/// When a frame will be synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Haste {
    /// At once: somebody waits for it.
    Soon,
    /// With others, some time.
    Later,
}

impl LogWriter {
    /// Begins a log in `dir`, which exists and has no segment: the first segment is durable when it returns,
    /// up to the name of `dir` itself.
    pub(crate) fn create(
        storage: Arc<dyn Storage>,
        dir: &Path,
        options: WriterOptions,
        birth: Birth,
    ) -> Result<Self> {
        let link = first_link(&birth.log_id);
        let header = SegmentHeader {
            salt: birth.salt,
            log_id: birth.log_id,
            segment_no: 1,
            base_version: 1,
            prev_link: link,
            prev_len: 0,
            created_ms: birth.time_us / 1000,
        };
        let segment = Active::create(&*storage, dir, &header)?;
        Ok(Self {
            storage,
            dir: dir.to_path_buf(),
            options,
            log_id: birth.log_id,
            salt: birth.salt,
            epoch: 1,
            link,
            next_version: 1,
            durable: 0,
            marked: 0,
            segment,
            buf: Vec::new(),
            pending: Pending::default(),
            poisoned: false,
            rolled: None,
        })
    }

    /// Goes on where a recovered log ends.
    pub(crate) fn resume(
        storage: Arc<dyn Storage>,
        dir: &Path,
        options: WriterOptions,
        scanned: &Scanned,
    ) -> Result<Self> {
        let Some(last) = scanned.segments.last() else {
            return Err(Error::NotFound(format!("a segment in {}", dir.display())));
        };
        let segment = Active::resume(&*storage, last)?;
        Ok(Self {
            storage,
            dir: dir.to_path_buf(),
            options,
            log_id: scanned.log_id,
            salt: scanned.salt,
            epoch: scanned.epoch.saturating_add(1),
            link: scanned
                .expect
                .link
                .unwrap_or_else(|| first_link(&scanned.log_id)),
            next_version: scanned.expect.version,
            durable: scanned.durable,
            marked: scanned.durable,
            segment,
            buf: Vec::new(),
            pending: Pending::default(),
            poisoned: false,
            rolled: None,
        })
    }

    /// The version of the last event, buffered ones included.
    pub(crate) fn version(&self) -> Version {
        Version(self.next_version - 1 + self.pending.len())
    }

    /// Every event up to here is known to be durable.
    pub(crate) fn durable(&self) -> Version {
        Version(self.durable)
    }

    /// Refuses if an earlier write failed.
    pub(crate) fn check(&self) -> Result<()> {
        if self.poisoned {
            Err(Error::Poisoned {
                path: self.dir.clone(),
            })
        } else {
            Ok(())
        }
    }

    /// Writes one commit, in a frame of its own. An error before the write leaves the log as it was; an error of the
    /// write poisons the writer.
    pub(crate) fn append(&mut self, drafts: Vec<Draft>, time_us: u64) -> Result<()> {
        self.spill(Haste::Later)?;
        self.stage(drafts, time_us, Haste::Soon)?;
        self.spill(Haste::Soon)
    }

    /// Keeps one commit in memory, to be written with others: see [`LogWriter::spill`]. It has the time that
    /// [`LogWriter::staged_time`] gave. An error leaves the log as it was, or the writer poisoned.
    pub(crate) fn stage(&mut self, drafts: Vec<Draft>, time_us: u64, haste: Haste) -> Result<()> {
        self.check()?;
        let envelopes = encode_envelopes(&drafts)?;
        let entries = envelopes.iter().zip(&drafts);
        let entries: Vec<(&[u8], &[u8])> = entries
            .map(|(envelope, draft)| (envelope.as_slice(), draft.payload.as_bytes()))
            .collect();
        let size = check_size(&entries)?;
        let rolls = haste == Haste::Soon && self.is_full(self.pending.bytes() + size);
        if rolls || !self.pending.takes(drafts.len(), size, time_us) {
            self.spill(Haste::Later)?;
        }
        if rolls && self.is_full(size) {
            self.roll(time_us)?;
        }
        self.pending.push(envelopes, drafts, size, time_us);
        if haste == Haste::Later && self.pending.is_full() {
            self.spill(Haste::Later)?;
        }
        Ok(())
    }

    /// The time of a commit that is staged now: events in one frame share it.
    pub(crate) fn staged_time(&self, now_us: u64) -> u64 {
        self.pending.time(now_us)
    }

    /// The first version that is only in memory.
    pub(crate) fn first_pending(&self) -> Option<Version> {
        (self.pending.len() > 0).then_some(Version(self.next_version))
    }

    /// Writes what is staged, in one frame.
    pub(crate) fn spill(&mut self, haste: Haste) -> Result<()> {
        if self.pending.len() == 0 {
            return Ok(());
        }
        self.check()?;
        let pending = std::mem::take(&mut self.pending);
        let entries: Vec<(&[u8], &[u8])> = pending.entries().collect();
        let subjects: Vec<&str> = pending.subjects().collect();
        let time_us = pending.time(0);
        self.write_commit(&entries, &subjects, time_us, haste)
    }

    /// Writes a commit of another device, which must follow the last one here; its link stays the same.
    pub(crate) fn adopt(&mut self, commit: &Commit, subjects: &[&str]) -> Result<()> {
        self.check()?;
        self.spill(Haste::Later)?;
        if commit.first_version() != self.next_version || commit.prev_link() != self.link {
            return Err(Error::InvalidInput {
                what: self.dir.display().to_string(),
                reason: format!(
                    "the commit of version {} does not follow version {}",
                    commit.first_version(),
                    self.version()
                ),
            });
        }
        let entries = commit.entries();
        let entries: Vec<(&[u8], &[u8])> =
            entries.iter().map(|e| (e.envelope, e.payload)).collect();
        self.write_commit(&entries, subjects, commit.time_us(), Haste::Soon)
    }

    fn write_commit(
        &mut self,
        entries: &[(&[u8], &[u8])],
        subjects: &[&str],
        time_us: u64,
        haste: Haste,
    ) -> Result<()> {
        let size = check_size(entries)?;
        // A roll syncs: of what nobody waits for, that is left to whoever syncs next, within bounds.
        let syncs = self.durable + 1 < self.next_version;
        let is_patient = haste == Haste::Later && syncs;
        let waits = is_patient && self.segment.offset + size <= self.options.longest();
        if self.is_full(size) && !waits {
            self.roll(time_us)?;
        }
        self.buf.clear();
        let spec = self.spec(Kind::Events, time_us);
        let header = encode_frame(spec, entries, &mut self.buf);
        if haste == Haste::Soon {
            self.segment.make_room(header.frame_len(), &self.options);
        }
        self.write_frame()?;
        self.segment.wrote(&header);
        for (version, subject) in (self.next_version..).zip(subjects) {
            self.segment.stats.event(version, subject);
        }
        self.link = header.link();
        self.marked = spec.durable_version;
        self.next_version += entries.len() as u64;
        Ok(())
    }

    /// Whether so many bytes more belong into the next segment.
    fn is_full(&self, more: u64) -> bool {
        let at = self.segment.offset;
        at > SEGMENT_HEADER_LEN as u64 && at + more > self.options.segment_len
    }

    /// The log's id.
    pub(crate) fn log_id(&self) -> [u8; 16] {
        self.log_id
    }

    /// Once after each roll: the log's id, the commit that the last sealed segment ends with, and about how many bytes
    /// the sealed segments have.
    pub(crate) fn take_rolled(&mut self) -> Option<([u8; 16], Since, u64)> {
        let (since, sealed) = self.rolled.take()?;
        Some((self.log_id, since, sealed))
    }

    /// What a sync now would make durable.
    pub(crate) fn unsynced(&self) -> Unsynced {
        Unsynced {
            file: Arc::clone(&self.segment.file),
            path: self.segment.path.clone(),
            version: Version(self.next_version - 1),
        }
    }

    /// Takes note of a sync that succeeded.
    pub(crate) fn synced(&mut self, version: Version) {
        self.durable = self.durable.max(version.0);
    }

    /// After a failed write or sync nothing is known: no more is written.
    pub(crate) fn poison(&mut self) {
        self.poisoned = true;
        tracing::error!(session = %self.dir.display(), "write failed: the session must be opened again");
    }

    /// Ends the writing, after a flush: a segment that is longer than it should be is sealed. A MARK, if it tells more
    /// than the last frame, and no space that is not used: neither needs a sync.
    pub(crate) fn finish(&mut self, time_us: u64) -> Result<()> {
        self.check()?;
        if self.is_full(0) {
            self.roll(time_us)?;
        }
        self.mark(time_us)?;
        self.trim()
    }

    fn mark(&mut self, time_us: u64) -> Result<()> {
        self.check()?;
        self.spill(Haste::Later)?;
        if self.marked >= self.durable {
            return Ok(());
        }
        self.buf.clear();
        let header = encode_frame(self.spec(Kind::Mark, time_us), &[], &mut self.buf);
        self.write_frame()?;
        self.segment.wrote(&header);
        self.marked = self.durable;
        Ok(())
    }

    fn spec(&self, kind: Kind, time_us: u64) -> FrameSpec {
        FrameSpec {
            kind,
            first_version: self.next_version,
            durable_version: self.durable,
            salt: self.salt,
            epoch: self.epoch,
            offset: self.segment.offset as u32,
            prev_link: self.link,
            time_us,
        }
    }

    fn write_frame(&mut self) -> Result<()> {
        let written = self.segment.write(&self.buf);
        let path = self.segment.path.clone();
        self.in_doubt("write", path, written)
    }

    fn trim(&mut self) -> Result<()> {
        let trimmed = self.segment.trim();
        let path = self.segment.path.clone();
        self.in_doubt("cut", path, trimmed)
    }

    /// Ends the segment and begins the next: old cut to its frames and synced, successor durable, SEAL synced, in that order.
    fn roll(&mut self, time_us: u64) -> Result<()> {
        self.trim()?;
        let synced = self.segment.file.sync_data();
        self.in_doubt("fdatasync", self.segment.path.clone(), synced)?;
        self.durable = self.next_version - 1;
        let header = SegmentHeader {
            salt: self.salt,
            log_id: self.log_id,
            segment_no: self.segment.no + 1,
            base_version: self.next_version,
            prev_link: self.link,
            prev_len: self.segment.offset,
            created_ms: time_us / 1000,
        };
        let next = Active::create(&*self.storage, &self.dir, &header);
        let next = next.inspect_err(|_| self.poison())?;
        self.buf.clear();
        let seal = self.segment.stats.seal(self.next_version);
        encode_seal(self.spec(Kind::Seal, time_us), &seal, &mut self.buf);
        self.write_frame()?;
        let synced = self.segment.file.sync_data();
        self.in_doubt("fdatasync", self.segment.path.clone(), synced)?;
        tracing::debug!(segment = %next.path.display(), base = next.base, "rolled");
        let before = self
            .segment
            .no
            .saturating_sub(1)
            .saturating_mul(self.options.segment_len);
        let since = Since {
            version: self.durable,
            link: self.link,
        };
        self.rolled = Some((since, before.saturating_add(self.segment.offset)));
        self.segment = next;
        Ok(())
    }

    fn in_doubt<T>(
        &mut self,
        operation: &'static str,
        path: PathBuf,
        result: io::Result<T>,
    ) -> Result<T> {
        result.map_err(|source| {
            self.poison();
            Error::OutcomeUnknown {
                path,
                operation,
                source,
            }
        })
    }
}
