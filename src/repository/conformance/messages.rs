//! Checks of messages.

use super::{
    AGENT, LATER, Outcome, PECULIAR, SESSION, THEN, agent, already_exists, check, ensure, equals,
    message, not_found, nothing, session, text, with_messages,
};
use crate::repository::{MessageRecord, SessionRepository, slice};

check!(
    a_created_message_is_read_as_it_was_given,
    a_missing_message_reads_as_nothing,
    a_message_that_exists_is_not_created_again,
    a_message_is_not_created_for_a_missing_agent,
    a_message_record_is_kept_as_it_is,
    a_large_message_is_kept,
    messages_are_listed_by_number_whatever_their_order,
    messages_are_listed_as_python_slices,
    an_agent_without_messages_lists_none,
    the_next_id_is_above_the_greatest,
    an_update_of_a_message_keeps_created_at_and_takes_updated_at,
    updating_a_missing_message_is_not_found,
    an_update_of_a_message_keeps_members_that_it_does_not_name,
    a_redaction_is_shown_and_keeps_the_original_in_the_record,
    an_update_does_not_undo_a_redaction,
    a_redaction_in_a_created_record_is_final_too,
    a_new_redaction_replaces_the_old_one,
    of_many_writers_of_one_message_one_wins,
);

fn listed(
    repository: &dyn SessionRepository,
    limit: Option<i64>,
    offset: i64,
) -> crate::Result<Vec<u64>> {
    let list = repository.list_messages(SESSION, AGENT, limit, offset)?;
    Ok(list.messages.iter().map(MessageRecord::id).collect())
}

fn a_created_message_is_read_as_it_was_given(repository: &dyn SessionRepository) -> Outcome {
    with_messages(repository, &[0, 1])?;
    for id in [0, 1] {
        let read = repository.read_message(SESSION, AGENT, id)?;
        equals(read, &message(id)?, "the message")?;
    }
    Ok(())
}

fn a_missing_message_reads_as_nothing(repository: &dyn SessionRepository) -> Outcome {
    with_messages(repository, &[0, 2])?;
    for id in [1, 3, 1000, u64::MAX] {
        let read = repository.read_message(SESSION, AGENT, id)?;
        nothing(read, "a missing message")?;
    }
    Ok(())
}

fn a_message_that_exists_is_not_created_again(repository: &dyn SessionRepository) -> Outcome {
    with_messages(repository, &[0, 1])?;
    let again = MessageRecord::new(0, &text("again"), LATER)?;
    already_exists(
        repository.create_message(SESSION, AGENT, &again),
        "creating it again",
    )?;
    equals(
        repository.read_message(SESSION, AGENT, 0)?,
        &message(0)?,
        "the message",
    )
}

fn a_message_is_not_created_for_a_missing_agent(repository: &dyn SessionRepository) -> Outcome {
    let created = repository.create_message(SESSION, AGENT, &message(0)?);
    not_found(created, "creating a message in a missing session")?;
    repository.create_session(&session())?;
    let created = repository.create_message(SESSION, AGENT, &message(0)?);
    not_found(created, "creating a message of a missing agent")?;
    nothing(repository.read_agent(SESSION, AGENT)?, "the agent")
}

fn a_message_record_is_kept_as_it_is(repository: &dyn SessionRepository) -> Outcome {
    with_messages(repository, &[])?;
    let plain = MessageRecord::new(0, PECULIAR, THEN)?;
    let record = format!(r#"{{"extra":{PECULIAR},"message_id":1,"message":{PECULIAR}}}"#);
    let bare = MessageRecord::from_text(1, &record)?;
    for record in [&plain, &bare] {
        repository.create_message(SESSION, AGENT, record)?;
    }
    let list = repository.list_messages(SESSION, AGENT, None, 0)?;
    ensure!(
        list.messages == [plain.clone(), bare.clone()],
        "the messages are {list:?}"
    );
    equals(
        repository.read_message(SESSION, AGENT, 0)?,
        &plain,
        "the message",
    )?;
    equals(
        repository.read_message(SESSION, AGENT, 1)?,
        &bare,
        "the message",
    )
}

fn a_large_message_is_kept(repository: &dyn SessionRepository) -> Outcome {
    with_messages(repository, &[])?;
    let large = MessageRecord::new(0, &text(&"x".repeat(300_000)), THEN)?;
    repository.create_message(SESSION, AGENT, &large)?;
    equals(
        repository.read_message(SESSION, AGENT, 0)?,
        &large,
        "the message",
    )
}

fn messages_are_listed_by_number_whatever_their_order(
    repository: &dyn SessionRepository,
) -> Outcome {
    let ids = [10, 2, 0, 9_007_199_254_740_993, 100, 1];
    with_messages(repository, &ids)?;
    let ids = listed(repository, None, 0)?;
    ensure!(
        ids == [0, 1, 2, 10, 100, 9_007_199_254_740_993],
        "the ids are {ids:?}"
    );
    Ok(())
}

fn messages_are_listed_as_python_slices(repository: &dyn SessionRepository) -> Outcome {
    let ids = [0, 1, 2, 5, 6, 9];
    with_messages(repository, &ids)?;
    let numbers = [i64::MIN, -99, -6, -3, -2, -1, 0, 1, 2, 5, 6, 99, i64::MAX];
    for offset in numbers {
        for limit in numbers.map(Some).into_iter().chain([None]) {
            let found = listed(repository, limit, offset)?;
            ensure!(
                found == ids[slice(ids.len(), limit, offset)],
                "limit {limit:?} and offset {offset} gave {found:?}"
            );
        }
    }
    Ok(())
}

fn an_agent_without_messages_lists_none(repository: &dyn SessionRepository) -> Outcome {
    with_messages(repository, &[])?;
    let list = repository.list_messages(SESSION, AGENT, None, 0)?;
    ensure!(
        list.messages.is_empty() && list.unreadable.is_empty(),
        "there are {list:?}"
    );
    let list = repository.list_messages(SESSION, AGENT, Some(5), -3)?;
    ensure!(list.messages.is_empty(), "there are {list:?}");
    Ok(())
}

fn the_next_id_is_above_the_greatest(repository: &dyn SessionRepository) -> Outcome {
    with_messages(repository, &[])?;
    for (id, expected) in [(0, 1), (1, 2), (7, 8), (3, 8), (10, 11)] {
        repository.create_message(SESSION, AGENT, &message(id)?)?;
        let next = repository.next_message_id(SESSION, AGENT)?;
        ensure!(next == expected, "after message {id} the next id is {next}");
    }
    Ok(())
}

fn an_update_of_a_message_keeps_created_at_and_takes_updated_at(
    repository: &dyn SessionRepository,
) -> Outcome {
    with_messages(repository, &[0, 1, 2])?;
    let update = MessageRecord::new(1, &text("edited"), LATER)?;
    repository.update_message(SESSION, AGENT, &update)?;
    let read = repository.read_message(SESSION, AGENT, 1)?;
    let times = read.as_ref().map(|m| (m.created_at(), m.updated_at()));
    let expected = (message(1)?.created_at(), update.updated_at());
    equals(times, &expected, "created_at and updated_at")?;
    equals(read, &message(1)?.updated_by(&update), "the message")?;
    let ids = listed(repository, None, 0)?;
    ensure!(ids == [0, 1, 2], "the ids are {ids:?}");
    Ok(())
}

fn updating_a_missing_message_is_not_found(repository: &dyn SessionRepository) -> Outcome {
    let missing = "updating a missing message";
    not_found(
        repository.update_message(SESSION, AGENT, &message(0)?),
        missing,
    )?;
    repository.create_session(&session())?;
    not_found(
        repository.update_message(SESSION, AGENT, &message(0)?),
        missing,
    )?;
    repository.create_agent(SESSION, &agent(AGENT)?)?;
    not_found(
        repository.update_message(SESSION, AGENT, &message(0)?),
        missing,
    )?;
    nothing(repository.read_message(SESSION, AGENT, 0)?, "the message")
}

fn an_update_of_a_message_keeps_members_that_it_does_not_name(
    repository: &dyn SessionRepository,
) -> Outcome {
    with_messages(repository, &[])?;
    let record = MessageRecord::from_text(0, r#"{"message":{"a":1},"message_id":0,"x":1.0}"#)?;
    repository.create_message(SESSION, AGENT, &record)?;
    let update = MessageRecord::from_text(0, r#"{"message_id":0,"message":{"b":2},"y":{}}"#)?;
    repository.update_message(SESSION, AGENT, &update)?;
    let expected = r#"{"message":{"b":2},"message_id":0,"x":1.0,"y":{}}"#;
    let expected = MessageRecord::from_text(0, expected)?;
    equals(
        repository.read_message(SESSION, AGENT, 0)?,
        &expected,
        "the message",
    )
}

fn a_redaction_is_shown_and_keeps_the_original_in_the_record(
    repository: &dyn SessionRepository,
) -> Outcome {
    with_messages(repository, &[0, 1])?;
    let redacted = message(1)?.redacted(&text("[redacted]"), LATER)?;
    repository.update_message(SESSION, AGENT, &redacted)?;
    let read = repository.read_message(SESSION, AGENT, 1)?;
    let texts = read
        .as_ref()
        .map(|m| (m.message().to_owned(), m.original().to_owned()));
    let expected = (text("[redacted]"), text("message 1"));
    equals(texts, &expected, "what is shown, and the original")?;
    equals(read, &redacted, "the message")
}

fn an_update_does_not_undo_a_redaction(repository: &dyn SessionRepository) -> Outcome {
    with_messages(repository, &[0, 1])?;
    let redacted = message(0)?.redacted(&text("[redacted]"), THEN)?;
    repository.update_message(SESSION, AGENT, &redacted)?;
    let silent = MessageRecord::from_text(0, r#"{"message_id":0,"message":{"a":1}}"#)?;
    for update in [&message(0)?, &silent] {
        repository.update_message(SESSION, AGENT, update)?;
        let read = repository.read_message(SESSION, AGENT, 0)?;
        let shown = read.map(|message| message.message().to_owned());
        equals(shown, &text("[redacted]"), "what is shown")?;
        let list = repository.list_messages(SESSION, AGENT, Some(1), 0)?;
        let shown = list.messages.first().map(|m| m.message().to_owned());
        equals(shown, &text("[redacted]"), "what is listed")?;
    }
    Ok(())
}

fn a_redaction_in_a_created_record_is_final_too(repository: &dyn SessionRepository) -> Outcome {
    with_messages(repository, &[])?;
    let redacted = message(0)?.redacted(&text("[redacted]"), THEN)?;
    repository.create_message(SESSION, AGENT, &redacted)?;
    repository.update_message(SESSION, AGENT, &message(0)?)?;
    let read = repository.read_message(SESSION, AGENT, 0)?;
    let shown = read.map(|message| message.message().to_owned());
    equals(shown, &text("[redacted]"), "what is shown")
}

fn a_new_redaction_replaces_the_old_one(repository: &dyn SessionRepository) -> Outcome {
    with_messages(repository, &[0])?;
    for replacement in ["[redacted]", "[removed]"] {
        let redacted = message(0)?.redacted(&text(replacement), LATER)?;
        repository.update_message(SESSION, AGENT, &redacted)?;
        let read = repository.read_message(SESSION, AGENT, 0)?;
        equals(read, &redacted, "the message")?;
    }
    Ok(())
}

fn of_many_writers_of_one_message_one_wins(repository: &dyn SessionRepository) -> Outcome {
    with_messages(repository, &[])?;
    let records: Vec<_> = (0..8_u64)
        .map(|writer| MessageRecord::new(0, &text(&format!("writer {writer}")), THEN))
        .collect::<Result<_, _>>()?;
    let created: Vec<bool> = std::thread::scope(|scope| {
        let write = |record| scope.spawn(move || repository.create_message(SESSION, AGENT, record));
        let threads: Vec<_> = records.iter().map(write).collect();
        let results = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        results.map(|done| matches!(done, Ok(Ok(())))).collect()
    });
    let winners: Vec<_> = records
        .iter()
        .zip(&created)
        .filter(|(_, won)| **won)
        .collect();
    ensure!(winners.len() == 1, "{} writers won", winners.len());
    let read = repository.read_message(SESSION, AGENT, 0)?;
    equals(read, winners[0].0, "the message")
}
