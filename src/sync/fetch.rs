//! Sealed objects: made, fetched and checked.

use crate::format::{Commit, Point, SEGMENT_HEADER_LEN, SegmentHeader, crc};

use super::head::{Head, MAX_OBJECT, Sealed};
use super::{Condition, RemoteError, SyncError, Syncer, object_key};

/// How often an object is uploaded under a new name before the remote counts as unreachable.
const UPLOADS: u32 = 3;

/// Commits that become one sealed object.
#[derive(Debug)]
pub(super) struct Run {
    /// Where the run begins: the end of the commit before it.
    pub(super) before: Point,
    /// Where it ends so far.
    pub(super) last: Point,
    pub(super) bytes: Vec<u8>,
}

impl Run {
    pub(super) fn after(before: Point) -> Self {
        Self {
            before,
            last: before,
            bytes: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, commit: &Commit) {
        self.bytes.extend_from_slice(commit.bytes());
        self.last = commit.point();
    }
}

impl Syncer {
    /// Uploads a run of commits as an immutable object.
    pub(super) fn seal(
        &self,
        session_id: &str,
        log_id: [u8; 16],
        run: &Run,
    ) -> Result<Sealed, SyncError> {
        let header = SegmentHeader {
            salt: 0,
            log_id,
            segment_no: 0,
            base_version: run.before.version + 1,
            prev_link: run.before.link,
            prev_len: 0,
            created_ms: run.last.time_us / 1000,
        };
        let mut bytes = header.encode().to_vec();
        bytes.extend_from_slice(&run.bytes);
        let mut sealed = Sealed {
            first: run.before.version + 1,
            last: run.last,
            len: bytes.len() as u64,
            random: 0,
            crc: crc(&bytes),
        };
        let mut attempt = 0;
        loop {
            // A name is never used twice, so an upload that arrives late cannot touch another's object.
            sealed.random = self.random();
            let key = object_key(session_id, &sealed.name());
            attempt += 1;
            match self.remote.put(&key, &bytes, &Condition::Absent) {
                Ok(_) => return Ok(sealed),
                Err(RemoteError::Ambiguous(_) | RemoteError::Precondition) if attempt < UPLOADS => {
                    self.remote.pause(attempt, self.random());
                }
                Err(e) => return Err(self.remote_error(&key, e.not_in_doubt())),
            }
        }
    }

    /// The commits of a sealed object, all of them checked; `before` is where the object before it ends.
    pub(super) fn object(
        &self,
        session_id: &str,
        log_id: [u8; 16],
        before: &Point,
        sealed: &Sealed,
    ) -> Result<Vec<Commit>, SyncError> {
        let key = object_key(session_id, &sealed.name());
        let got = self.remote.get(&key, MAX_OBJECT);
        let damaged = |reason: &str| SyncError::Damaged {
            key: key.clone(),
            reason: reason.to_owned(),
        };
        let (bytes, _) = got
            .map_err(|e| self.remote_error(&key, e))?
            .ok_or_else(|| damaged("it is missing"))?;
        // Every byte is under a checksum of its own, so one over all of them would notice nothing more. That it is
        // this object, and all of it, the points say.
        let header = SegmentHeader::decode(&bytes).map_err(|e| damaged(&e.to_string()))?;
        if header.log_id != log_id || header.base_version != sealed.first {
            return Err(damaged("it is another log's, or another range"));
        }
        let commits = Commit::decode_all(&bytes[SEGMENT_HEADER_LEN..])
            .map_err(|fault| damaged(&fault.to_string()))?;
        let first_follows = commits.first().is_some_and(|first| first.follows(before));
        if !first_follows || commits.last().map(Commit::point) != Some(sealed.last) {
            return Err(damaged("it does not hold what the head says"));
        }
        Ok(commits)
    }

    /// Hands out the remote's commits after `after` in order, object by object; a few objects are fetched at
    /// the same time.
    pub(super) fn commits_after(
        &self,
        session_id: &str,
        head: &Head,
        tail: &[Commit],
        after: u64,
        take: &mut dyn FnMut(&[Commit]) -> Result<(), SyncError>,
    ) -> Result<(), SyncError> {
        let mut before = head.beginning();
        let mut wanted = Vec::new();
        for sealed in &head.sealed {
            if sealed.last.version > after {
                wanted.push((before, *sealed));
            }
            before = sealed.last;
        }
        let fetch = |(before, sealed): &(Point, Sealed)| {
            self.object(session_id, head.log_id, before, sealed)
        };
        for some in wanted.chunks(self.remote.parallel().max(1)) {
            let fetched: Vec<Result<Vec<Commit>, SyncError>> = match some {
                [one] => vec![fetch(one)],
                some => std::thread::scope(|scope| {
                    let threads: Vec<_> = some
                        .iter()
                        .map(|one| scope.spawn(move || fetch(one)))
                        .collect();
                    let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
                        thread.join().unwrap_or_else(|_| {
                            let lost = RemoteError::Ambiguous("a thread panicked".to_owned());
                            Err(self.remote_error(session_id, lost))
                        })
                    };
                    threads.into_iter().map(join).collect()
                }),
            };
            for commits in fetched {
                take(after_version(&commits?, after))?;
            }
        }
        take(after_version(tail, after))
    }
}

fn after_version(commits: &[Commit], after: u64) -> &[Commit] {
    let from = commits.partition_point(|commit| commit.first_version() <= after);
    &commits[from..]
}
