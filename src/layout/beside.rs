//! The stored messages of an agent, beside files in the order of their names: nearly always that of their ids.

use std::sync::Arc;

use crate::Result;
use crate::messages::Messages;
use crate::state::Message;
use crate::view::View;

#[derive(Debug)]
pub(super) struct Stored<'v> {
    view: &'v View,
    /// The agent, and its messages in the order of their ids; `None` if the session does not know it.
    agent: Option<(Arc<str>, Messages)>,
    next: Option<Message>,
    /// The ids below that of `next` that no file asked for yet, in order.
    passed: Vec<u64>,
}

impl<'v> Stored<'v> {
    pub(super) fn new(view: &'v View, agent: Option<Arc<str>>) -> Result<Self> {
        let messages = |agent: Arc<str>| Ok((Arc::clone(&agent), view.messages(&agent)?));
        Ok(Self {
            view,
            agent: agent.map(messages).transpose()?,
            next: None,
            passed: Vec::new(),
        })
    }

    /// The stored message with an id that was not asked for before.
    pub(super) fn find(&mut self, id: u64) -> Result<Option<Message>> {
        let Some((agent, messages)) = &mut self.agent else {
            return Ok(None);
        };
        loop {
            if self.next.is_none() {
                self.next = messages.next().transpose()?;
            }
            match self.next.take_if(|next| next.id() <= id) {
                Some(found) if found.id() == id => return Ok(Some(found)),
                Some(other) => self.passed.push(other.id()),
                None => break,
            }
        }
        if self.passed.binary_search(&id).is_err() {
            return Ok(None);
        }
        self.view.messages(agent)?.get(id).map(Some)
    }

    /// The first stored message that is not `known`.
    pub(super) fn left_out(self, known: impl Fn(u64) -> bool) -> Result<Option<u64>> {
        if let Some(id) = self.passed.into_iter().find(|id| !known(*id)) {
            return Ok(Some(id));
        }
        let rest = self.agent.into_iter().flat_map(|(_, messages)| messages);
        for message in self.next.into_iter().map(Ok).chain(rest) {
            let id = message?.id();
            if !known(id) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }
}
