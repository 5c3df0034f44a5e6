//! The writer of one log: frames out, one positional write per commit.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::event::EventKind;
use crate::format::{
    Envelope, FRAME_HEADER_LEN, FrameSpec, Kind, MAX_EVENTS, MAX_FRAME_LEN, SEGMENT_HEADER_LEN,
    Seal, SegmentHeader, encode_frame, first_link,
};
use crate::storage::{OpenMode, Storage, StorageFile, write_all_at};
use crate::{Error, Result, Version};

use super::directory::segment_path;
use super::reader::{Scanned, Since};
use super::stats::SegmentStats;

/// An event before it has a version.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) kind: EventKind,
    pub(crate) flags: u8,
    pub(crate) subject: Arc<str>,
    pub(crate) message_id: u64,
    /// What an import keeps beside the payload; nearly always empty.
    pub(crate) extra: Arc<str>,
    pub(crate) payload: String,
}

/// Limits of a writer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WriterOptions {
    /// A segment that would grow past this many bytes is sealed and a new one begun.
    pub(crate) segment_len: u64,
}

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
    poisoned: bool,
    /// The commit that the last sealed segment ends with, until somebody asks.
    rolled: Option<Since>,
}

#[derive(Clone, Debug)]
struct Active {
    base: u64,
    no: u64,
    path: PathBuf,
    file: Arc<dyn StorageFile>,
    /// Where the next frame goes.
    offset: u64,
    stats: SegmentStats,
}

/// What must be synced before an append is acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Unsynced {
    pub(crate) file: Arc<dyn StorageFile>,
    pub(crate) path: PathBuf,
    /// Every event up to here is durable once `file` is synced.
    pub(crate) version: Version,
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
        let segment = create_segment(&*storage, dir, &header)?;
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
        let file = storage
            .open(&last.path, OpenMode::Write)
            .map_err(Error::io("open", &last.path))?;
        let segment = Active {
            base: last.base,
            no: last.no,
            path: last.path.clone(),
            file: Arc::from(file),
            offset: last.end,
            stats: last.stats.clone(),
        };
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
            poisoned: false,
            rolled: None,
        })
    }

    /// The version of the last event written.
    pub(crate) fn version(&self) -> Version {
        Version(self.next_version - 1)
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

    /// Writes one commit; returns what must be synced before it is acknowledged. An error before the write
    /// leaves the log as it was; an error of the write poisons the writer.
    pub(crate) fn append(&mut self, drafts: &[Draft], time_us: u64) -> Result<Unsynced> {
        self.check()?;
        let envelopes = encode_envelopes(drafts)?;
        let entries: Vec<(&[u8], &[u8])> = envelopes
            .iter()
            .zip(drafts)
            .map(|(envelope, draft)| (envelope.as_slice(), draft.payload.as_bytes()))
            .collect();
        let size = check_size(&entries)?;
        if self.segment.offset + size > self.options.segment_len
            && self.segment.offset > SEGMENT_HEADER_LEN as u64
        {
            self.roll(time_us)?;
        }
        self.buf.clear();
        let spec = self.spec(Kind::Events, time_us);
        let header = encode_frame(spec, &entries, &mut self.buf);
        self.write_frame()?;
        self.segment.stats.frame(&header, self.segment.offset);
        for (version, draft) in (self.next_version..).zip(drafts) {
            self.segment.stats.event(version, &draft.subject);
        }
        self.segment.offset += header.frame_len();
        self.link = header.link();
        self.marked = spec.durable_version;
        self.next_version += drafts.len() as u64;
        Ok(self.unsynced())
    }

    /// Once after each roll: the log's id, the commit that the last sealed segment ends with, and how many
    /// sealed segments there are.
    pub(crate) fn take_rolled(&mut self) -> Option<([u8; 16], Since, u64)> {
        self.rolled
            .take()
            .map(|since| (self.log_id, since, self.segment.no - 1))
    }

    /// What a sync now would make durable.
    pub(crate) fn unsynced(&self) -> Unsynced {
        Unsynced {
            file: Arc::clone(&self.segment.file),
            path: self.segment.path.clone(),
            version: self.version(),
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

    /// Writes a MARK if it tells more than the last frame; it needs no sync.
    pub(crate) fn mark(&mut self, time_us: u64) -> Result<()> {
        self.check()?;
        if self.marked >= self.durable {
            return Ok(());
        }
        self.buf.clear();
        let header = encode_frame(self.spec(Kind::Mark, time_us), &[], &mut self.buf);
        self.write_frame()?;
        self.segment.stats.frame(&header, self.segment.offset);
        self.segment.offset += header.frame_len();
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
        let written = write_all_at(&*self.segment.file, &self.buf, self.segment.offset);
        let path = self.segment.path.clone();
        self.in_doubt("write", path, written)
    }

    /// Ends the segment and begins the next: old synced, successor durable, SEAL synced, in that order.
    fn roll(&mut self, time_us: u64) -> Result<()> {
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
        let next = create_segment(&*self.storage, &self.dir, &header);
        let next = next.inspect_err(|_| self.poison())?;
        self.buf.clear();
        let seal = self.segment.stats.seal(self.next_version);
        encode_seal(self.spec(Kind::Seal, time_us), &seal, &mut self.buf);
        self.write_frame()?;
        let synced = self.segment.file.sync_data();
        self.in_doubt("fdatasync", self.segment.path.clone(), synced)?;
        tracing::debug!(segment = %next.path.display(), base = next.base, "rolled");
        self.segment = next;
        self.rolled = Some(Since {
            version: self.durable,
            link: self.link,
        });
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

/// Writes and syncs the SEAL that an interrupted roll did not get to.
pub(super) fn seal_segment(
    file: &dyn StorageFile,
    path: &Path,
    scanned: &Scanned,
    index: usize,
) -> Result<()> {
    let segment = &scanned.segments[index];
    let next = scanned.segments.get(index + 1);
    let next_base = next.map_or(scanned.expect.version, |next| next.base);
    let spec = FrameSpec {
        kind: Kind::Seal,
        first_version: next_base,
        durable_version: next_base - 1,
        salt: scanned.salt,
        epoch: scanned.epoch,
        offset: segment.end as u32,
        prev_link: segment.link.unwrap_or_else(|| first_link(&scanned.log_id)),
        time_us: scanned.time_us,
    };
    let mut bytes = Vec::new();
    encode_seal(spec, &segment.stats.seal(next_base), &mut bytes);
    write_all_at(file, &bytes, segment.end).map_err(Error::io("write", path))?;
    file.sync_data().map_err(Error::io("fdatasync", path))
}

fn encode_seal(spec: FrameSpec, seal: &Seal, out: &mut Vec<u8>) {
    // A struct of numbers, strings and maps with string keys always serializes.
    let body = serde_json::to_vec(seal).unwrap_or_default();
    encode_frame(spec, &[(&[], &body)], out);
}

fn create_segment(storage: &dyn Storage, dir: &Path, header: &SegmentHeader) -> Result<Active> {
    let path = segment_path(dir, header.base_version);
    let temporary = path.with_extension("seg.tmp");
    match storage.remove_file(&temporary) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            return Err(Error::io("remove", &temporary)(e));
        }
        _ => {}
    }
    let file = storage
        .open(&temporary, OpenMode::CreateNew)
        .map_err(Error::io("create", &temporary))?;
    write_all_at(&*file, &header.encode(), 0).map_err(Error::io("write", &temporary))?;
    file.sync_data()
        .map_err(Error::io("fdatasync", &temporary))?;
    storage
        .rename(&temporary, &path)
        .map_err(Error::io("rename", &temporary))?;
    storage
        .sync_dir(dir)
        .map_err(Error::io("sync directory", dir))?;
    Ok(Active {
        base: header.base_version,
        no: header.segment_no,
        path,
        file: Arc::from(file),
        offset: SEGMENT_HEADER_LEN as u64,
        stats: SegmentStats::default(),
    })
}

fn encode_envelopes(drafts: &[Draft]) -> Result<Vec<Vec<u8>>> {
    if drafts.is_empty() || drafts.len() > MAX_EVENTS {
        let (size, limit) = (drafts.len() as u64, MAX_EVENTS as u64);
        let what = "the number of events in a commit".to_owned();
        return Err(Error::TooLarge { what, size, limit });
    }
    let encode = |draft: &Draft| {
        let envelope = Envelope {
            kind: draft.kind.byte(),
            flags: draft.flags,
            subject: &draft.subject,
            message_id: draft.message_id,
            extra: draft.extra.as_bytes(),
        };
        envelope.encode().ok_or_else(|| Error::TooLarge {
            what: "the id".to_owned(),
            size: (draft.subject.len() + draft.extra.len()) as u64,
            limit: u64::from(u16::MAX),
        })
    };
    drafts.iter().map(encode).collect()
}

fn check_size(entries: &[(&[u8], &[u8])]) -> Result<u64> {
    let body: u64 = entries
        .iter()
        .map(|(e, p)| (e.len() + p.len() + 10) as u64)
        .sum();
    let size = body + FRAME_HEADER_LEN as u64 + 16;
    if size > MAX_FRAME_LEN {
        let what = "the commit".to_owned();
        return Err(Error::TooLarge {
            what,
            size,
            limit: MAX_FRAME_LEN,
        });
    }
    Ok(size)
}
