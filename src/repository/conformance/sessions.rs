//! Checks of sessions.

use super::{
    AGENT, Outcome, PECULIAR, SESSION, THEN, agent, already_exists, check, ensure, equals,
    invalid_id, message, multi_agent, not_found, nothing, session, with_messages,
};
use crate::repository::{SessionRecord, SessionRepository};

check!(
    a_created_session_is_read_as_it_was_given,
    a_missing_session_reads_as_nothing,
    a_session_that_exists_is_not_created_again,
    a_session_record_is_kept_as_it_is,
    deleting_a_session_takes_everything_in_it,
    deleting_a_session_leaves_the_others,
    deleting_a_missing_session_is_not_found,
    a_deleted_session_can_be_created_again,
    session_ids_of_any_script_are_different_sessions,
    ids_that_are_no_file_names_are_refused,
);

fn a_created_session_is_read_as_it_was_given(repository: &dyn SessionRepository) -> Outcome {
    repository.create_session(&session())?;
    equals(repository.read_session(SESSION)?, &session(), "the session")
}

fn a_missing_session_reads_as_nothing(repository: &dyn SessionRepository) -> Outcome {
    nothing(repository.read_session(SESSION)?, "a missing session")?;
    nothing(repository.read_agent(SESSION, AGENT)?, "its agent")?;
    nothing(repository.read_message(SESSION, AGENT, 0)?, "its message")?;
    nothing(
        repository.read_multi_agent(SESSION, "m")?,
        "its multi-agent",
    )?;
    not_found(
        repository.list_messages(SESSION, AGENT, None, 0),
        "listing its messages",
    )?;
    not_found(
        repository.next_message_id(SESSION, AGENT),
        "its next message id",
    )?;
    nothing(
        repository.read_session(SESSION)?,
        "the session that was only looked at",
    )
}

fn a_session_that_exists_is_not_created_again(repository: &dyn SessionRepository) -> Outcome {
    with_messages(repository, &[0, 1])?;
    let again = SessionRecord::new(SESSION, THEN + 1);
    already_exists(repository.create_session(&again), "creating it again")?;
    equals(repository.read_session(SESSION)?, &session(), "the session")?;
    let list = repository.list_messages(SESSION, AGENT, None, 0)?;
    ensure!(list.messages.len() == 2, "messages were lost: {list:?}");
    Ok(())
}

fn a_session_record_is_kept_as_it_is(repository: &dyn SessionRepository) -> Outcome {
    let record = SessionRecord::from_text(SESSION, PECULIAR)?;
    repository.create_session(&record)?;
    equals(repository.read_session(SESSION)?, &record, "the session")
}

fn deleting_a_session_takes_everything_in_it(repository: &dyn SessionRepository) -> Outcome {
    with_messages(repository, &[0, 1])?;
    repository.create_multi_agent(SESSION, &multi_agent("m", "{}")?)?;
    repository.delete_session(SESSION)?;
    a_missing_session_reads_as_nothing(repository)
}

fn deleting_a_session_leaves_the_others(repository: &dyn SessionRepository) -> Outcome {
    with_messages(repository, &[0])?;
    let other = SessionRecord::new("session-10", THEN);
    repository.create_session(&other)?;
    repository.delete_session("session-10")?;
    equals(repository.read_session(SESSION)?, &session(), "the session")?;
    equals(
        repository.read_message(SESSION, AGENT, 0)?,
        &message(0)?,
        "its message",
    )
}

fn deleting_a_missing_session_is_not_found(repository: &dyn SessionRepository) -> Outcome {
    not_found(repository.delete_session(SESSION), "deleting it")
}

fn a_deleted_session_can_be_created_again(repository: &dyn SessionRepository) -> Outcome {
    with_messages(repository, &[0, 1, 2])?;
    repository.delete_session(SESSION)?;
    with_messages(repository, &[0])?;
    let list = repository.list_messages(SESSION, AGENT, None, 0)?;
    ensure!(list.messages.len() == 1, "old messages are back: {list:?}");
    Ok(())
}

fn session_ids_of_any_script_are_different_sessions(repository: &dyn SessionRepository) -> Outcome {
    let ids = [
        "a",
        "a.b",
        "e\u{301}",
        "\u{e9}",
        "会话-🎉",
        "with space",
        "%41",
        "con",
        ".hidden",
    ];
    for id in ids {
        repository.create_session(&SessionRecord::new(id, THEN))?;
        repository.create_agent(id, &agent(id)?)?;
        repository.create_message(id, id, &message(0)?)?;
        repository.create_multi_agent(id, &multi_agent(id, "{}")?)?;
    }
    for id in ids {
        let expected = SessionRecord::new(id, THEN);
        equals(repository.read_session(id)?, &expected, "the session")?;
        equals(repository.read_agent(id, id)?, &agent(id)?, "its agent")?;
        equals(
            repository.read_message(id, id, 0)?,
            &message(0)?,
            "its message",
        )?;
    }
    Ok(())
}

fn ids_that_are_no_file_names_are_refused(repository: &dyn SessionRepository) -> Outcome {
    repository.create_session(&session())?;
    for id in ["", ".", "..", "a/b", "../x", "a\0b", "a\nb"] {
        let record = SessionRecord::new(id, THEN);
        invalid_id(repository.create_session(&record), "creating a session")?;
        invalid_id(repository.read_session(id), "reading a session")?;
        invalid_id(repository.delete_session(id), "deleting a session")?;
        invalid_id(
            repository.create_agent(SESSION, &agent(id)?),
            "creating an agent",
        )?;
        invalid_id(repository.read_agent(SESSION, id), "reading an agent")?;
        invalid_id(
            repository.update_agent(SESSION, &agent(id)?),
            "updating an agent",
        )?;
        invalid_id(
            repository.create_message(SESSION, id, &message(0)?),
            "creating a message",
        )?;
        invalid_id(
            repository.list_messages(SESSION, id, None, 0),
            "listing messages",
        )?;
        let record = multi_agent(id, "{}")?;
        invalid_id(
            repository.create_multi_agent(SESSION, &record),
            "creating a multi-agent",
        )?;
        invalid_id(
            repository.read_multi_agent(SESSION, id),
            "reading a multi-agent",
        )?;
    }
    Ok(())
}
