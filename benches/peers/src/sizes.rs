//! How much is done: all of it, or a smoke test's worth.

/// The sizes of one run.
#[derive(Clone, Debug)]
pub(crate) struct Sizes {
    pub(crate) is_quick: bool,
    /// Rounds of what is fast, of which a target depends on a few per cent.
    pub(crate) fine_rounds: usize,
    /// Rounds of other durable appends.
    pub(crate) sync_rounds: usize,
    pub(crate) rounds: usize,
    /// Durable appends a side does in one round: few, because a disk has moods.
    pub(crate) appends: usize,
    pub(crate) threads: usize,
    /// Buffered appends a side does in one round.
    pub(crate) buffered: usize,
    /// Payloads in bytes.
    pub(crate) payloads: Vec<usize>,
    /// Lengths of conversations in messages, ascending.
    pub(crate) lengths: Vec<usize>,
    /// The conversation that is restored, imported and exported.
    pub(crate) conversation: usize,
    /// The conversation whose import and export are watched for memory.
    pub(crate) large_conversation: usize,
    /// Lengths of the conversations with broken tool histories.
    pub(crate) broken: Vec<usize>,
    pub(crate) sessions: usize,
    /// Operations of the mixed work.
    pub(crate) mixed: usize,
}

impl Sizes {
    pub(crate) fn full() -> Self {
        Self {
            is_quick: false,
            fine_rounds: 101,
            sync_rounds: 41,
            rounds: 9,
            appends: 8,
            threads: 16,
            buffered: 50_000,
            payloads: vec![200, 1024, 10 << 10, 100 << 10],
            lengths: vec![1_000, 10_000, 100_000, 1_000_000],
            conversation: 10_000,
            large_conversation: 100_000,
            broken: vec![1_000, 10_000, 100_000],
            sessions: 100_000,
            mixed: 1_000_000,
        }
    }

    /// Every line of the report, at sizes that say nothing about a disk.
    pub(crate) fn quick() -> Self {
        Self {
            is_quick: true,
            fine_rounds: 2,
            sync_rounds: 2,
            rounds: 2,
            appends: 4,
            threads: 4,
            buffered: 200,
            payloads: vec![200, 1024],
            lengths: vec![100, 1_000],
            conversation: 100,
            large_conversation: 200,
            broken: vec![100, 1_000],
            sessions: 50,
            mixed: 10_000,
        }
    }

    pub(crate) fn longest(&self) -> usize {
        self.lengths.last().copied().unwrap_or_default()
    }

    pub(crate) fn shortest(&self) -> usize {
        self.lengths.first().copied().unwrap_or_default()
    }
}
