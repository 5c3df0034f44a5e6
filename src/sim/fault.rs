//! Faults of a simulated disk while it is in use.

use std::io;

use super::trace::OpKind;

/// A fault. Each strikes the first operation, from the planned one on, that it can strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The operation does nothing and fails with an input/output error. A failed sync can be tried again.
    Io,
    /// The operation is done, and fails all the same.
    IoAfter,
    /// The disk is full: a write of two bytes or more is cut short, and the next operation that takes space
    /// (the same one, if it is no such write) fails with `StorageFull`.
    Full,
    /// A read or a write is interrupted. A sticky one spares every other operation, or loops would not end.
    Interrupted,
    /// A read or a write of two bytes or more moves only half of them.
    Short,
    /// `sync_data` fails; the written bytes stay readable and count as clean, so that no later sync writes them.
    SyncFailsClean,
    /// `sync_data` fails, and what is durable replaces what was written.
    SyncFailsRevert,
    /// As `SyncFailsClean`, but `sync_data` reports success.
    SyncLies,
    /// The power goes. The operation may be partly done, a sync not at all; from now on everything fails.
    PowerCut,
}

impl Fault {
    fn strikes(self, kind: OpKind, len: u64) -> bool {
        let moves = matches!(kind, OpKind::Read | OpKind::Write);
        match self {
            Self::Io | Self::IoAfter | Self::PowerCut => true,
            Self::Full => kind.takes_space(),
            Self::Interrupted => moves,
            Self::Short => moves && len > 1,
            Self::SyncFailsClean | Self::SyncFailsRevert | Self::SyncLies => {
                kind == OpKind::SyncData
            }
        }
    }

    fn error(self) -> io::Error {
        let kind = match self {
            Self::Full => io::ErrorKind::StorageFull,
            Self::Interrupted => io::ErrorKind::Interrupted,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, Injected(self))
    }
}

/// The error inside the [`io::Error`] of an injected fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("injected fault: {0:?}")]
pub struct Injected(pub Fault);

impl Injected {
    /// The injected fault that made this error; `None` if the disk itself refused the operation.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<Fault> {
        error
            .get_ref()?
            .downcast_ref::<Self>()
            .map(|injected| injected.0)
    }
}

/// Which operations fail, and how. Operations are counted from 1, over all calls that can fail.
#[derive(Clone, Debug, Default)]
pub struct FaultPlan {
    planned: Vec<Planned>,
}

#[derive(Clone, Debug)]
struct Planned {
    fault: Fault,
    at: u64,
    sticky: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    /// A write was cut short, since the disk is full; the error follows.
    Filled,
    /// Struck last at this operation.
    Struck(u64),
}

impl FaultPlan {
    /// No faults.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// A transient fault at the `at`-th operation: it strikes once.
    #[must_use]
    pub fn once(self, at: u64, fault: Fault) -> Self {
        self.plan(at, fault, false)
    }

    /// A sticky fault: it strikes from the `at`-th operation on.
    #[must_use]
    pub fn from(self, at: u64, fault: Fault) -> Self {
        self.plan(at, fault, true)
    }

    /// The power goes at the `at`-th operation.
    #[must_use]
    pub fn power_cut(at: u64) -> Self {
        Self::none().from(at, Fault::PowerCut)
    }

    fn plan(mut self, at: u64, fault: Fault, sticky: bool) -> Self {
        self.planned.push(Planned {
            fault,
            at,
            sticky,
            state: State::Waiting,
        });
        self
    }
}

/// How an operation is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Fully,
    /// A transfer moves half.
    Half,
    /// A sync marks clean what it does not write.
    GivingUp,
    /// A sync throws away what it does not write.
    Reverting,
}

/// What becomes of an operation: whether and how it is done, and how it fails.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) done: Option<How>,
    pub(super) error: Option<io::Error>,
}

/// The plan at work.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    plan: FaultPlan,
    power_is_out: bool,
    struck: u64,
}

impl Faults {
    pub(super) fn new(plan: FaultPlan) -> Self {
        Self {
            plan,
            ..Self::default()
        }
    }

    pub(super) fn struck(&self) -> u64 {
        self.struck
    }

    pub(super) fn judge(&mut self, number: u64, kind: OpKind, len: u64) -> Verdict {
        if self.power_is_out {
            return Verdict {
                done: None,
                error: Some(Fault::PowerCut.error()),
            };
        }
        let Some(planned) = self
            .plan
            .planned
            .iter_mut()
            .find(|planned| planned.is_due(number, kind, len))
        else {
            return Verdict {
                done: Some(How::Fully),
                error: None,
            };
        };
        self.struck += 1;
        self.power_is_out = planned.fault == Fault::PowerCut;
        planned.strike(number, kind, len)
    }
}

impl Planned {
    fn is_due(&self, number: u64, kind: OpKind, len: u64) -> bool {
        let again = match self.state {
            State::Waiting | State::Filled => true,
            State::Struck(last) => {
                self.sticky && (self.fault != Fault::Interrupted || last + 1 < number)
            }
        };
        again && number >= self.at && self.fault.strikes(kind, len)
    }

    fn strike(&mut self, number: u64, kind: OpKind, len: u64) -> Verdict {
        let fills = self.fault == Fault::Full
            && self.state == State::Waiting
            && kind == OpKind::Write
            && len > 1;
        self.state = if fills {
            State::Filled
        } else {
            State::Struck(number)
        };
        let error = Some(self.fault.error());
        match self.fault {
            Fault::Full if fills => Verdict {
                done: Some(How::Half),
                error: None,
            },
            Fault::Io | Fault::Full | Fault::Interrupted => Verdict { done: None, error },
            Fault::IoAfter => Verdict {
                done: Some(How::Fully),
                error,
            },
            Fault::Short => Verdict {
                done: Some(How::Half),
                error: None,
            },
            Fault::SyncFailsClean => Verdict {
                done: Some(How::GivingUp),
                error,
            },
            Fault::SyncFailsRevert => Verdict {
                done: Some(How::Reverting),
                error,
            },
            Fault::SyncLies => Verdict {
                done: Some(How::GivingUp),
                error: None,
            },
            Fault::PowerCut => Verdict {
                done: kind.changes().then_some(How::Fully),
                error,
            },
        }
    }
}
