//! Checks of agents.

use super::{
    AGENT, LATER, Outcome, PECULIAR, SESSION, THEN, agent, already_exists, check, ensure, equals,
    not_found, nothing, session, with_messages,
};
use crate::AgentSync;
use crate::repository::{AgentRecord, SessionRepository};

check!(
    a_created_agent_is_read_as_it_was_given,
    a_missing_agent_reads_as_nothing,
    an_agent_that_exists_is_not_created_again,
    an_agent_is_not_created_in_a_missing_session,
    an_agent_record_is_kept_as_it_is,
    an_update_of_an_agent_keeps_created_at_and_takes_updated_at,
    an_update_of_an_agent_keeps_members_that_it_does_not_name,
    an_update_of_an_agent_leaves_its_messages,
    updating_a_missing_agent_is_not_found,
    many_updates_of_an_agent_end_with_the_last,
    agents_of_one_session_are_independent,
    an_agent_has_no_stored_edits_at_first,
);

fn a_created_agent_is_read_as_it_was_given(repository: &dyn SessionRepository) -> Outcome {
    repository.create_session(&session())?;
    repository.create_agent(SESSION, &agent(AGENT)?)?;
    equals(
        repository.read_agent(SESSION, AGENT)?,
        &agent(AGENT)?,
        "the agent",
    )
}

fn a_missing_agent_reads_as_nothing(repository: &dyn SessionRepository) -> Outcome {
    repository.create_session(&session())?;
    nothing(repository.read_agent(SESSION, AGENT)?, "a missing agent")?;
    nothing(repository.read_message(SESSION, AGENT, 0)?, "its message")?;
    not_found(
        repository.list_messages(SESSION, AGENT, None, 0),
        "listing its messages",
    )?;
    not_found(
        repository.next_message_id(SESSION, AGENT),
        "its next message id",
    )
}

fn an_agent_that_exists_is_not_created_again(repository: &dyn SessionRepository) -> Outcome {
    with_messages(repository, &[0, 1])?;
    let again = AgentRecord::new(AGENT, AgentSync::default(), LATER)?;
    already_exists(
        repository.create_agent(SESSION, &again),
        "creating it again",
    )?;
    equals(
        repository.read_agent(SESSION, AGENT)?,
        &agent(AGENT)?,
        "the agent",
    )?;
    let list = repository.list_messages(SESSION, AGENT, None, 0)?;
    ensure!(list.messages.len() == 2, "messages were lost: {list:?}");
    Ok(())
}

fn an_agent_is_not_created_in_a_missing_session(repository: &dyn SessionRepository) -> Outcome {
    let created = repository.create_agent(SESSION, &agent(AGENT)?);
    not_found(created, "creating an agent")?;
    nothing(repository.read_session(SESSION)?, "the session")
}

fn an_agent_record_is_kept_as_it_is(repository: &dyn SessionRepository) -> Outcome {
    repository.create_session(&session())?;
    let record = AgentRecord::from_text(AGENT, PECULIAR)?;
    repository.create_agent(SESSION, &record)?;
    equals(repository.read_agent(SESSION, AGENT)?, &record, "the agent")?;
    let parts = AgentSync {
        state: Some(PECULIAR),
        conversation_manager_state: Some(PECULIAR),
        internal_state: Some(PECULIAR),
    };
    let record = AgentRecord::new("full", parts, THEN)?;
    repository.create_agent(SESSION, &record)?;
    let read = repository.read_agent(SESSION, "full")?;
    ensure!(
        read.as_ref()
            .is_some_and(|read| read.state() == record.state()),
        "the state is {read:?}"
    );
    equals(read, &record, "the agent")
}

fn an_update_of_an_agent_keeps_created_at_and_takes_updated_at(
    repository: &dyn SessionRepository,
) -> Outcome {
    repository.create_session(&session())?;
    repository.create_agent(SESSION, &agent(AGENT)?)?;
    let parts = AgentSync {
        state: Some(r#"{"turns":1}"#),
        ..AgentSync::default()
    };
    let update = AgentRecord::new(AGENT, parts, LATER)?;
    repository.update_agent(SESSION, &update)?;
    let expected = agent(AGENT)?.updated_by(&update);
    ensure!(
        expected.text().contains("20:15:17") && expected.text().contains("20:16:17"),
        "the expected record is {expected:?}"
    );
    equals(
        repository.read_agent(SESSION, AGENT)?,
        &expected,
        "the agent",
    )
}

fn an_update_of_an_agent_keeps_members_that_it_does_not_name(
    repository: &dyn SessionRepository,
) -> Outcome {
    repository.create_session(&session())?;
    let record = AgentRecord::from_text(AGENT, r#"{"x":1.0,"state":{"a":1},"y":[]}"#)?;
    repository.create_agent(SESSION, &record)?;
    let update = AgentRecord::from_text(AGENT, r#"{"state":{"b":2},"z":null}"#)?;
    repository.update_agent(SESSION, &update)?;
    let expected = r#"{"x":1.0,"state":{"b":2},"y":[],"z":null}"#;
    let expected = AgentRecord::from_text(AGENT, expected)?;
    equals(
        repository.read_agent(SESSION, AGENT)?,
        &expected,
        "the agent",
    )
}

fn an_update_of_an_agent_leaves_its_messages(repository: &dyn SessionRepository) -> Outcome {
    with_messages(repository, &[0, 1, 2])?;
    repository.update_agent(
        SESSION,
        &AgentRecord::new(AGENT, AgentSync::default(), LATER)?,
    )?;
    let list = repository.list_messages(SESSION, AGENT, None, 0)?;
    ensure!(list.messages.len() == 3, "messages were lost: {list:?}");
    Ok(())
}

fn updating_a_missing_agent_is_not_found(repository: &dyn SessionRepository) -> Outcome {
    let updated = repository.update_agent(SESSION, &agent(AGENT)?);
    not_found(updated, "updating an agent of a missing session")?;
    repository.create_session(&session())?;
    let updated = repository.update_agent(SESSION, &agent(AGENT)?);
    not_found(updated, "updating a missing agent")?;
    nothing(repository.read_agent(SESSION, AGENT)?, "the agent")
}

fn many_updates_of_an_agent_end_with_the_last(repository: &dyn SessionRepository) -> Outcome {
    repository.create_session(&session())?;
    repository.create_agent(SESSION, &agent(AGENT)?)?;
    let mut expected = agent(AGENT)?;
    for turn in 0..30 {
        let state = format!(
            r#"{{"turn":{turn},"list":{:?},"~/":"{turn}"}}"#,
            vec![turn; turn % 7]
        );
        let parts = AgentSync {
            state: Some(&state),
            ..AgentSync::default()
        };
        let update = AgentRecord::new(AGENT, parts, THEN + turn as u64)?;
        repository.update_agent(SESSION, &update)?;
        expected = expected.updated_by(&update);
        equals(
            repository.read_agent(SESSION, AGENT)?,
            &expected,
            "the agent",
        )?;
    }
    Ok(())
}

fn agents_of_one_session_are_independent(repository: &dyn SessionRepository) -> Outcome {
    with_messages(repository, &[0, 1])?;
    repository.create_agent(SESSION, &agent("other")?)?;
    let list = repository.list_messages(SESSION, "other", None, 0)?;
    ensure!(list.messages.is_empty(), "the other agent has {list:?}");
    let next = repository.next_message_id(SESSION, "other")?;
    ensure!(next == 0, "the other agent's next message id is {next}");
    Ok(())
}

fn an_agent_has_no_stored_edits_at_first(repository: &dyn SessionRepository) -> Outcome {
    with_messages(repository, &[0])?;
    let edits = repository.history_edits(SESSION, AGENT)?;
    ensure!(edits.is_empty(), "there are edits: {edits:?}");
    Ok(())
}
