//! How two histories of one session relate.

use std::collections::BTreeMap;

use crate::format::{Commit, Point};

use super::local::Local;
use super::{Fetched, Head, SyncError, Syncer};

/// What a remote's history is to the local one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    /// The local history goes on where the remote's ends.
    Ahead,
    /// The remote's history goes on where the local one ends.
    Behind,
    Diverged,
}

impl Relation {
    /// Decided without asking the remote, if that is possible: not for a remote that is ahead.
    pub(super) fn locally(local: &Local, head: &Head) -> Result<Option<Self>, SyncError> {
        if local.is_empty() {
            return Ok(Some(Self::Behind));
        }
        if head.log_id != local.log_id {
            return Ok(Some(Self::Diverged));
        }
        let either = |yes: bool, relation| Some(if yes { relation } else { Self::Diverged });
        Ok(match head.last.version.cmp(&local.tip.version) {
            std::cmp::Ordering::Less => either(local.has(&head.last)?, Self::Ahead),
            std::cmp::Ordering::Equal => either(head.last == local.tip, Self::Equal),
            std::cmp::Ordering::Greater => None,
        })
    }
}

impl Syncer {
    pub(super) fn relation(&self, local: &Local, fetched: &Fetched) -> Result<Relation, SyncError> {
        if let Some(relation) = Relation::locally(local, &fetched.head)? {
            return Ok(relation);
        }
        let has = self.remote_has(&local.id, fetched, &local.tip)?;
        Ok(if has {
            Relation::Behind
        } else {
            Relation::Diverged
        })
    }

    /// Whether the remote's history has a commit that ends at `point`.
    pub(super) fn remote_has(
        &self,
        session_id: &str,
        fetched: &Fetched,
        point: &Point,
    ) -> Result<bool, SyncError> {
        let head = &fetched.head;
        let version = point.version;
        if version == 0 || version > head.last.version {
            return Ok(version == 0);
        }
        if version > head.sealed_to().version {
            return Ok(fetched.tail.iter().any(|commit| commit.point() == *point));
        }
        let mut before = head.beginning();
        for sealed in &head.sealed {
            if sealed.last.version == version {
                return Ok(sealed.last == *point);
            }
            if sealed.last.version > version {
                let commits = self.object(session_id, head.log_id, &before, sealed)?;
                return Ok(commits.iter().any(|commit| commit.point() == *point));
            }
            before = sealed.last;
        }
        Ok(false)
    }

    /// Where the last commit ends that both histories have.
    pub(super) fn common(&self, local: &Local, fetched: &Fetched) -> Result<Point, SyncError> {
        let head = &fetched.head;
        if head.log_id != local.log_id {
            return Ok(Point::default());
        }
        let mut common = head.beginning();
        let ends = head.sealed.iter().map(|sealed| sealed.last);
        let tail = fetched.tail.iter().map(Commit::point);
        last_shared(local, &mut common, ends.chain(tail))?;
        let mut before = head.beginning();
        for sealed in &head.sealed {
            if before == common {
                let commits = self.object(&local.id, head.log_id, &before, sealed)?;
                last_shared(local, &mut common, commits.iter().map(Commit::point))?;
                break;
            }
            before = sealed.last;
        }
        Ok(common)
    }
}

/// Moves `common` to the last of these points that the local log has.
fn last_shared(
    local: &Local,
    common: &mut Point,
    points: impl Iterator<Item = Point>,
) -> Result<(), SyncError> {
    let points: BTreeMap<u64, Point> = points.map(|point| (point.version, point)).collect();
    let from = common.version;
    local
        .reader
        .commits(from, local.tip.version, &mut |_, point| {
            if points.get(&point.version) == Some(&point) {
                *common = point;
            }
            Ok(true)
        })?;
    Ok(())
}
