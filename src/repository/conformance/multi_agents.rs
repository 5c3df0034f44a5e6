//! Checks of multi-agents.

use super::{
    AGENT, Outcome, PECULIAR, SESSION, already_exists, check, equals, multi_agent, not_found,
    nothing, session, with_messages,
};
use crate::repository::SessionRepository;

check!(
    a_created_multi_agent_is_read_as_it_was_given,
    a_multi_agent_that_exists_is_not_created_again,
    a_multi_agent_is_not_created_in_a_missing_session,
    an_update_of_a_multi_agent_replaces_it_as_a_whole,
    updating_a_missing_multi_agent_is_not_found,
    a_multi_agent_and_an_agent_may_have_one_id,
);

fn a_created_multi_agent_is_read_as_it_was_given(repository: &dyn SessionRepository) -> Outcome {
    repository.create_session(&session())?;
    for (id, object) in [("graph", PECULIAR), ("empty", "{}")] {
        let record = multi_agent(id, object)?;
        repository.create_multi_agent(SESSION, &record)?;
        let read = repository.read_multi_agent(SESSION, id)?;
        equals(read, &record, "the multi-agent")?;
    }
    nothing(
        repository.read_multi_agent(SESSION, "missing")?,
        "a missing multi-agent",
    )
}

fn a_multi_agent_that_exists_is_not_created_again(repository: &dyn SessionRepository) -> Outcome {
    repository.create_session(&session())?;
    let record = multi_agent("graph", r#"{"a":1}"#)?;
    repository.create_multi_agent(SESSION, &record)?;
    let again = multi_agent("graph", r#"{"b":2}"#)?;
    already_exists(
        repository.create_multi_agent(SESSION, &again),
        "creating it again",
    )?;
    equals(
        repository.read_multi_agent(SESSION, "graph")?,
        &record,
        "the multi-agent",
    )
}

fn a_multi_agent_is_not_created_in_a_missing_session(
    repository: &dyn SessionRepository,
) -> Outcome {
    let created = repository.create_multi_agent(SESSION, &multi_agent("graph", "{}")?);
    not_found(created, "creating a multi-agent")?;
    nothing(repository.read_session(SESSION)?, "the session")
}

fn an_update_of_a_multi_agent_replaces_it_as_a_whole(
    repository: &dyn SessionRepository,
) -> Outcome {
    repository.create_session(&session())?;
    repository.create_multi_agent(SESSION, &multi_agent("graph", r#"{"a":1,"b":[1,2]}"#)?)?;
    let times = r#"{"created_at":"x","updated_at":"y"}"#;
    let more = r#"{"created_at":"x","updated_at":"y","long":"and a member"}"#;
    for object in [r#"{"b":[2]}"#, "{}", PECULIAR, times, more, times] {
        let update = multi_agent("graph", object)?;
        repository.update_multi_agent(SESSION, &update)?;
        let read = repository.read_multi_agent(SESSION, "graph")?;
        equals(read, &update, "the multi-agent")?;
    }
    Ok(())
}

fn updating_a_missing_multi_agent_is_not_found(repository: &dyn SessionRepository) -> Outcome {
    let record = multi_agent("graph", "{}")?;
    not_found(
        repository.update_multi_agent(SESSION, &record),
        "updating it",
    )?;
    repository.create_session(&session())?;
    not_found(
        repository.update_multi_agent(SESSION, &record),
        "updating it",
    )?;
    nothing(
        repository.read_multi_agent(SESSION, "graph")?,
        "the multi-agent",
    )
}

fn a_multi_agent_and_an_agent_may_have_one_id(repository: &dyn SessionRepository) -> Outcome {
    with_messages(repository, &[0])?;
    let record = multi_agent(AGENT, r#"{"a":1}"#)?;
    repository.create_multi_agent(SESSION, &record)?;
    let read = repository.read_multi_agent(SESSION, AGENT)?;
    equals(read, &record, "the multi-agent")
}
