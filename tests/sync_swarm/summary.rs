//! What a run did.

/// How often each thing happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Summary {
    pub(crate) pushed: u64,
    pub(crate) pulled: u64,
    pub(crate) diverged: u64,
    pub(crate) rebased: u64,
    pub(crate) forked: u64,
    pub(crate) took: u64,
    pub(crate) unknown: u64,
    pub(crate) claimed: u64,
    pub(crate) collected: u64,
    pub(crate) deleted: u64,
    pub(crate) power_cuts: u64,
    pub(crate) restores: u64,
    pub(crate) faults: u64,
}

impl std::ops::AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.pushed += other.pushed;
        self.pulled += other.pulled;
        self.diverged += other.diverged;
        self.rebased += other.rebased;
        self.forked += other.forked;
        self.took += other.took;
        self.unknown += other.unknown;
        self.claimed += other.claimed;
        self.collected += other.collected;
        self.deleted += other.deleted;
        self.power_cuts += other.power_cuts;
        self.restores += other.restores;
        self.faults += other.faults;
    }
}
