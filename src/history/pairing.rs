//! Which result answers which tool use.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use super::scan::{self, Block, Parts};
use super::{Fault, FaultKind, Stored, ToolUseId};

/// A conversation's tool uses and results, each matched with the other one where there is one.
pub(super) struct Pairing {
    pub(super) messages: Vec<Message>,
    /// In text order.
    pub(super) uses: Vec<Use>,
    /// In text order.
    pub(super) results: Vec<Found>,
    /// The tool use ids, each once. Uses and results name them by index.
    pub(super) ids: Vec<ToolUseId>,
    /// Malformed messages and blocks, with the message's position.
    pub(super) malformed: Vec<(usize, Fault)>,
    /// Uses and results together, in text order.
    events: Vec<Event>,
}

/// A message. Its uses and results are ranges of the pairing's lists.
pub(super) struct Message {
    pub(super) id: u64,
    pub(super) uses: Range<usize>,
    pub(super) results: Range<usize>,
    pub(super) blocks: usize,
    /// It is a user message with a list of blocks: results may be in it.
    pub(super) may_answer: bool,
}

/// A tool use.
pub(super) struct Use {
    /// The position of its message.
    pub(super) message: usize,
    pub(super) block: usize,
    pub(super) id: usize,
    /// The index of its result.
    pub(super) answer: Option<usize>,
}

/// A tool result.
pub(super) struct Found {
    /// The position of its message.
    pub(super) message: usize,
    pub(super) block: usize,
    pub(super) id: usize,
    /// It is the error result that stands for a missing one.
    stand_in: bool,
    /// The index of the use that it answers.
    pub(super) answers: Option<usize>,
}

#[derive(Clone, Copy)]
enum Event {
    Use(usize),
    Result(usize),
}

impl Pairing {
    pub(super) fn of(stored: &[Stored<'_>]) -> Self {
        let mut pairing = Self {
            messages: Vec::with_capacity(stored.len()),
            uses: Vec::new(),
            results: Vec::new(),
            ids: Vec::new(),
            malformed: Vec::new(),
            events: Vec::new(),
        };
        let mut index = HashMap::new();
        for message in stored {
            pairing.read(*message, &mut index);
        }
        pairing.report_repeated_uses();
        pairing.match_next_message(false);
        pairing.match_later();
        pairing.match_later_instead();
        pairing.match_earlier();
        // Real results come first. A stand-in elsewhere is not worth moving: a new one says the same.
        pairing.match_next_message(true);
        pairing
    }

    /// For each id, whether a use has it.
    pub(super) fn used_ids(&self) -> Vec<bool> {
        let mut used = vec![false; self.ids.len()];
        for tool_use in &self.uses {
            used[tool_use.id] = true;
        }
        used
    }

    fn read(&mut self, stored: Stored<'_>, index: &mut HashMap<ToolUseId, usize>) {
        let position = self.messages.len();
        let (first_use, first_result) = (self.uses.len(), self.results.len());
        let Parts {
            assistant,
            user,
            content,
        } = Parts::of(stored.message);
        let mut faults = Vec::new();
        match content {
            Err(kind) => faults.push((None, None, kind)),
            Ok(_) if !assistant && !user => faults.push((None, None, FaultKind::UnknownRole)),
            Ok(_) => {}
        }
        let mut blocks = 0;
        for json in content.iter().flat_map(|content| content.elements()) {
            let block = blocks;
            blocks += 1;
            match scan::block(json) {
                Block::Use(id) => {
                    if !assistant {
                        let kind = FaultKind::UseOutsideAssistant;
                        faults.push((Some(block), Some(id.clone()), kind));
                    }
                    self.events.push(Event::Use(self.uses.len()));
                    let id = self.intern(id, index);
                    self.uses.push(Use {
                        message: position,
                        block,
                        id,
                        answer: None,
                    });
                }
                Block::Result { id, stand_in } => {
                    self.events.push(Event::Result(self.results.len()));
                    let id = self.intern(id, index);
                    self.results.push(Found {
                        message: position,
                        block,
                        id,
                        stand_in,
                        answers: None,
                    });
                }
                Block::Malformed(kind) => faults.push((Some(block), None, kind)),
                Block::Other => {}
            }
        }
        for (block, tool_use_id, kind) in faults {
            self.malformed(position, stored.id, block, tool_use_id, kind);
        }
        self.messages.push(Message {
            id: stored.id,
            uses: first_use..self.uses.len(),
            results: first_result..self.results.len(),
            blocks,
            may_answer: user && content.is_ok(),
        });
    }

    fn malformed(
        &mut self,
        position: usize,
        message: u64,
        block: Option<usize>,
        tool_use_id: Option<ToolUseId>,
        kind: FaultKind,
    ) {
        let fault = Fault {
            message,
            block,
            tool_use_id,
            kind,
        };
        self.malformed.push((position, fault));
    }

    fn intern(&mut self, id: ToolUseId, index: &mut HashMap<ToolUseId, usize>) -> usize {
        *index.entry(id).or_insert_with_key(|id| {
            self.ids.push(id.clone());
            self.ids.len() - 1
        })
    }

    fn report_repeated_uses(&mut self) {
        let mut last_message = vec![None; self.ids.len()];
        for index in 0..self.uses.len() {
            let (position, block, id) = {
                let tool_use = &self.uses[index];
                (tool_use.message, tool_use.block, tool_use.id)
            };
            if last_message[id].replace(position) == Some(position) {
                let message = self.messages[position].id;
                let tool_use_id = Some(self.ids[id].clone());
                let kind = FaultKind::RepeatedUse;
                self.malformed(position, message, Some(block), tool_use_id, kind);
            }
        }
    }

    fn link(&mut self, tool_use: usize, result: usize) {
        self.uses[tool_use].answer = Some(result);
        self.results[result].answers = Some(tool_use);
    }

    fn is_open(&self, tool_use: usize) -> bool {
        self.uses[tool_use].answer.is_none()
    }

    fn is_free(&self, result: usize, stand_in: bool) -> bool {
        let result = &self.results[result];
        result.answers.is_none() && result.stand_in == stand_in
    }

    /// Results in the user message right after their use.
    fn match_next_message(&mut self, stand_in: bool) {
        let mut open = self.queues();
        for position in 1..self.messages.len() {
            if !self.messages[position].may_answer {
                continue;
            }
            let uses = self.messages[position - 1].uses.clone();
            for tool_use in uses.clone().filter(|&index| self.is_open(index)) {
                open[self.uses[tool_use].id].push_back(tool_use);
            }
            for result in self.messages[position].results.clone() {
                if self.is_free(result, stand_in) {
                    if let Some(tool_use) = open[self.results[result].id].pop_front() {
                        self.link(tool_use, result);
                    }
                }
            }
            for tool_use in uses {
                open[self.uses[tool_use].id].clear();
            }
        }
    }

    /// Real results anywhere after their use: the nearest open one.
    fn match_later(&mut self) {
        let mut open = self.queues();
        for event in 0..self.events.len() {
            match self.events[event] {
                Event::Use(tool_use) if self.is_open(tool_use) => {
                    open[self.uses[tool_use].id].push_back(tool_use);
                }
                Event::Result(result) if self.is_free(result, false) => {
                    if let Some(tool_use) = open[self.results[result].id].pop_back() {
                        self.link(tool_use, result);
                    }
                }
                Event::Use(_) | Event::Result(_) => {}
            }
        }
    }

    /// Where the next message took a result from a use that is nearer, another result is left without one. The ids to
    /// which that happened are matched again, by nearness alone, which leaves as few results as possible.
    fn match_later_instead(&mut self) {
        let (mut open, mut best, mut found) = (self.zeros(), self.zeros(), self.zeros());
        for event in &self.events {
            match *event {
                Event::Use(tool_use) => open[self.uses[tool_use].id] += 1,
                Event::Result(result) if !self.results[result].stand_in => {
                    let result = &self.results[result];
                    if open[result.id] > 0 {
                        open[result.id] -= 1;
                        best[result.id] += 1;
                    }
                    found[result.id] += usize::from(result.answers.is_some());
                }
                Event::Result(_) => {}
            }
        }
        let again = |id: usize| found[id] < best[id];
        for tool_use in self.uses.iter_mut().filter(|u| again(u.id)) {
            tool_use.answer = None;
        }
        for result in self.results.iter_mut().filter(|r| again(r.id)) {
            result.answers = None;
        }
        self.match_later();
    }

    fn zeros(&self) -> Vec<usize> {
        vec![0; self.ids.len()]
    }

    /// Real results before the first use of their id: in order, with the uses in order. After an earlier use such a result is
    /// more likely a duplicate, because some models count their ids from the start in each turn.
    fn match_earlier(&mut self) {
        let mut waiting = self.queues();
        let mut used = vec![false; self.ids.len()];
        for event in 0..self.events.len() {
            match self.events[event] {
                Event::Use(tool_use) => {
                    let id = self.uses[tool_use].id;
                    used[id] = true;
                    if self.is_open(tool_use) {
                        if let Some(result) = waiting[id].pop_front() {
                            self.link(tool_use, result);
                        }
                    }
                }
                Event::Result(result) => {
                    let id = self.results[result].id;
                    if !used[id] && self.is_free(result, false) {
                        waiting[id].push_back(result);
                    }
                }
            }
        }
    }

    /// An empty queue for each id.
    fn queues(&self) -> Vec<VecDeque<usize>> {
        vec![VecDeque::new(); self.ids.len()]
    }
}
