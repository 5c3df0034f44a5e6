//! The strict forward scan of one segment: every frame must follow the one before it.

use std::io;
use std::sync::Arc;

use crate::format::{FRAME_HEADER_LEN, Fault, Frame, FrameHeader, Gap, Kind, SEGMENT_HEADER_LEN};
use crate::storage::{StorageFile, read_full_at};

/// How much is read at once, in bytes.
const CHUNK: usize = 256 << 10;

/// A sliding window over a file, so that a log is read in bounded memory.
#[derive(Debug)]
pub(crate) struct Window {
    file: Arc<dyn StorageFile>,
    len: u64,
    buf: Vec<u8>,
    start: u64,
}

impl Window {
    /// A window over the first `len` bytes of `file`.
    pub(crate) fn new(file: Arc<dyn StorageFile>, len: u64) -> Self {
        Self {
            file,
            len,
            buf: Vec::new(),
            start: 0,
        }
    }

    /// How many bytes the window looks over.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Moves the end back over zeros, down to `from`: they are space that was never used. A frame ends at a multiple
    /// of 8 and in bytes that are not all zero.
    pub(crate) fn trim(&mut self, from: u64) -> io::Result<()> {
        while self.len > from {
            let start = self.len.saturating_sub(CHUNK as u64).max(from);
            let bytes = self.get(start, (self.len - start) as usize)?;
            if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
                let end = (start + last as u64 + 1).next_multiple_of(8);
                self.len = end.min(self.len);
                return Ok(());
            }
            self.len = start;
        }
        Ok(())
    }

    /// The `want` bytes at `offset`; fewer at the end of the file.
    pub(crate) fn get(&mut self, offset: u64, want: usize) -> io::Result<&[u8]> {
        let want = want.min(self.len.saturating_sub(offset) as usize);
        let held = self.start..self.start + self.buf.len() as u64;
        if !(held.contains(&offset) && offset + want as u64 <= held.end) {
            let load = want
                .max(CHUNK)
                .min(self.len.saturating_sub(offset) as usize);
            // What is held of these bytes already moves to the front.
            let passed = match offset.checked_sub(self.start) {
                Some(passed) => (passed as usize).min(self.buf.len()),
                None => self.buf.len(),
            };
            self.buf.drain(..passed);
            let kept = self.buf.len();
            self.start = offset;
            self.buf.resize(load, 0);
            let got = read_full_at(&*self.file, &mut self.buf[kept..], offset + kept as u64);
            self.buf.truncate(kept + got.as_ref().unwrap_or(&0));
            got?;
        }
        let from = ((offset - self.start) as usize).min(self.buf.len());
        let to = (from + want).min(self.buf.len());
        Ok(&self.buf[from..to])
    }

    /// Whether every byte from `offset` to `end` is zero.
    pub(crate) fn is_zero(&mut self, mut offset: u64, end: u64) -> io::Result<bool> {
        while offset < end {
            let bytes = self.get(offset, CHUNK.min((end - offset) as usize))?;
            if bytes.is_empty() {
                break;
            }
            if bytes.iter().any(|b| *b != 0) {
                return Ok(false);
            }
            offset += bytes.len() as u64;
        }
        Ok(true)
    }
}

/// What the next frame must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expect {
    /// The log's salt; `None` until it is known.
    pub(crate) salt: Option<u32>,
    /// The version of the next event.
    pub(crate) version: u64,
    /// The link of the last commit; `None` after damage.
    pub(crate) link: Option<u32>,
    /// The greatest epoch so far.
    pub(crate) epoch: u32,
}

impl Expect {
    /// Checks that a frame at `offset` is the next one.
    pub(crate) fn check(&self, header: &FrameHeader, offset: u64) -> Result<(), Fault> {
        if self.salt.is_some_and(|salt| salt != header.salt) {
            return Err(Fault::Salt);
        }
        if u64::from(header.offset) != offset {
            return Err(Fault::Sequence("the frame belongs to another place"));
        }
        if header.epoch < self.epoch && !is_by_repair(header.kind) {
            return Err(Fault::Sequence("the frame is older than the one before it"));
        }
        if header.first_version != self.version {
            return Err(Fault::Sequence("versions are missing or repeated"));
        }
        if self.link.is_some_and(|link| link != header.prev_link) {
            return Err(Fault::Sequence(
                "the frame does not link to the commit before it",
            ));
        }
        Ok(())
    }

    /// Moves past a frame whose last version and link are known.
    pub(crate) fn advance(&mut self, header: &FrameHeader, after: After) {
        self.salt = Some(header.salt);
        if !is_by_repair(header.kind) {
            self.epoch = self.epoch.max(header.epoch);
        }
        self.version = after.version;
        self.link = Some(after.link);
    }
}

/// Whether the frame may be repair's, which writes GAP and SEAL frames between frames of any epoch.
pub(super) fn is_by_repair(kind: Kind) -> bool {
    matches!(kind, Kind::Gap | Kind::Seal)
}

/// What follows a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct After {
    /// The version of the next event.
    pub(crate) version: u64,
    /// The link that the next commit names.
    pub(crate) link: u32,
}

impl After {
    /// What follows `frame`; a GAP says it in its body.
    pub(crate) fn frame(frame: &Frame<'_>) -> Result<Self, Fault> {
        let header = &frame.header;
        if header.kind == Kind::Gap {
            let gap: Gap = serde_json::from_slice(frame.body()).map_err(|_| Fault::Marker)?;
            let limit = u64::MAX >> 1;
            let fits = gap.first == header.first_version && (gap.first..limit).contains(&gap.last);
            let version = fits.then(|| gap.last + 1).ok_or(Fault::Marker)?;
            return Ok(Self {
                version,
                link: gap.link,
            });
        }
        let last = header.last_version().ok_or(Fault::HeaderValue("version"))?;
        Ok(Self {
            version: last + 1,
            link: header.link(),
        })
    }
}

/// One step of a scan.
#[derive(Debug)]
pub(crate) enum Step<'w> {
    /// The next frame: header, envelopes, payloads, padding and trailer are good.
    Frame {
        /// Where the frame is, in bytes from the start of the segment.
        offset: u64,
        /// The frame.
        frame: Frame<'w>,
    },
    /// The end: the end of the file, or only zeros from here on.
    End,
    /// Anything else.
    Anomaly(Fault),
}

/// Scans a segment from the first frame on.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) window: Window,
    pub(crate) expect: Expect,
    /// Where the next frame begins.
    pub(crate) offset: u64,
    sealed: bool,
}

impl Scan {
    pub(crate) fn new(file: Arc<dyn StorageFile>, len: u64, expect: Expect) -> Self {
        let offset = SEGMENT_HEADER_LEN as u64;
        Self {
            window: Window::new(file, len),
            expect,
            offset,
            sealed: false,
        }
    }

    /// The next step. After [`Step::End`] or [`Step::Anomaly`], `offset` is where the good part ends.
    pub(crate) fn next(&mut self) -> io::Result<Step<'_>> {
        let offset = self.offset;
        let header = match self.peek(offset)? {
            Ok(header) => header,
            Err(fault) => {
                let end = self.window.len();
                let is_end = self.window.is_zero(offset, end)?;
                return Ok(if is_end {
                    Step::End
                } else {
                    Step::Anomaly(fault)
                });
            }
        };
        if self.sealed {
            return Ok(Step::Anomaly(Fault::Sequence(
                "a frame after the segment's seal",
            )));
        }
        let len = header.frame_len() as usize;
        let bytes = self.window.get(offset, len)?;
        match whole_frame(header, bytes) {
            Ok((frame, after)) => {
                self.expect.advance(&header, after);
                self.offset += len as u64;
                self.sealed = header.kind == Kind::Seal;
                Ok(Step::Frame { offset, frame })
            }
            Err(fault) => Ok(Step::Anomaly(fault)),
        }
    }

    fn peek(&mut self, offset: u64) -> io::Result<Result<FrameHeader, Fault>> {
        let bytes = self.window.get(offset, FRAME_HEADER_LEN)?;
        Ok(FrameHeader::decode(bytes).and_then(|header| {
            self.expect.check(&header, offset)?;
            Ok(header)
        }))
    }
}

/// Whether a whole frame follows the segment's header.
pub(crate) fn has_first_frame(file: Arc<dyn StorageFile>, len: u64) -> io::Result<bool> {
    let (mut window, at) = (Window::new(file, len), SEGMENT_HEADER_LEN as u64);
    let Ok(header) = FrameHeader::decode(window.get(at, FRAME_HEADER_LEN)?) else {
        return Ok(false);
    };
    let bytes = window.get(at, header.frame_len() as usize)?;
    Ok(whole_frame(header, bytes).is_ok())
}

/// Decodes a frame and checks everything that it holds.
pub(crate) fn whole_frame(header: FrameHeader, bytes: &[u8]) -> Result<(Frame<'_>, After), Fault> {
    let frame = Frame::decode(header, bytes)?;
    if !frame
        .entries()
        .all(|entry| entry.is_whole() || entry.is_given_up())
    {
        return Err(Fault::Payload);
    }
    let after = After::frame(&frame)?;
    frame.check_ends(bytes)?;
    Ok((frame, after))
}
