//! The three questions of `poolguard init --interactive`, whose answers a cluster does not give for sure.

use std::io::{BufRead, Write};

use anyhow::bail;

use crate::{
    check::{ConfigDraft, DraftChoices},
    cli::page::{FAINT, HEADING, Styled},
    json::text::{is_control, without_controls},
    kubernetes::name::{Glob, is_dns_subdomain},
};

/// The error of an answer that cannot be used. The user enters another one.
#[derive(Debug, thiserror::Error)]
enum AnswerError {
    #[error("{0:?} is not the name of a namespace")]
    Namespace(String),
    #[error("{answer:?} is not one of {pools}")]
    Pool { answer: String, pools: String },
    #[error("{0:?} is not a user name; enter an empty line to leave out the console")]
    User(String),
}

/// Asks on `prompt` and reads the answers, one a line. An empty line takes what was found.
pub(super) fn ask(
    draft: &ConfigDraft,
    answers: &mut impl BufRead,
    prompt: &mut impl Write,
) -> anyhow::Result<DraftChoices> {
    let found: Vec<&str> = draft.namespaces().collect();
    let is_namespace = |text: &str| {
        if is_dns_subdomain(text) { Ok(()) } else { Err(AnswerError::Namespace(text.to_owned())) }
    };
    let question = "Which namespaces are AutoMQ's?";
    let namespaces = ask_list(question, &found, is_namespace, (answers, prompt))?;

    let pools: Vec<&str> = draft.pools().collect();
    let chosen = if pools.is_empty() {
        None
    } else {
        let is_pool = |text: &str| {
            if pools.contains(&text) {
                Ok(())
            } else {
                Err(AnswerError::Pool { answer: text.to_owned(), pools: pools.join(", ") })
            }
        };
        ask_list("Which pools are dedicated to AutoMQ?", &pools, is_pool, (answers, prompt))?
    };

    let candidates: Vec<&str> = draft.console_candidates().take(1).collect();
    let is_user = |text: &str| {
        let is_wide = text.chars().all(|it| matches!(it, '*' | '?' | '/'));
        let is_bad_glob = text.contains(['*', '?']) && Glob::parse(text).is_err();
        let is_unreadable = text.chars().any(|it| is_control(it) || it.is_whitespace());
        if is_wide || is_bad_glob || is_unreadable {
            Err(AnswerError::User(text.to_owned()))
        } else {
            Ok(())
        }
    };
    let question = "Which user name does AutoMQ's console have in the API server?";
    let console = ask_one(question, candidates.first().copied(), is_user, (answers, prompt))?;
    Ok(DraftChoices { namespaces, pools: chosen, console })
}

/// The reader of the answers, which is standard input, and the writer of the questions, which is the terminal.
type Terminal<'t, R, W> = (&'t mut R, &'t mut W);

/// Asks for names with commas between them. Returns `None` if the answer is empty, which means the names that
/// were found.
fn ask_list(
    question: &str,
    found: &[&str],
    check: impl Fn(&str) -> Result<(), AnswerError>,
    (answers, prompt): Terminal<'_, impl BufRead, impl Write>,
) -> anyhow::Result<Option<Vec<String>>> {
    loop {
        let answer = line(question, &found.join(", "), (&mut *answers, &mut *prompt))?;
        if answer.is_empty() {
            return Ok(None);
        }
        let names = answer.split([',', ' ']).filter(|name| !name.is_empty());
        let names: Vec<String> = names.map(str::to_owned).collect();
        match names.iter().try_for_each(|name| check(name)) {
            Ok(()) if !names.is_empty() => return Ok(Some(names)),
            Ok(()) => {}
            Err(why) => writeln!(prompt, "{}", without_controls(&why.to_string()))?,
        }
    }
}

fn ask_one(
    question: &str,
    found: Option<&str>,
    check: impl Fn(&str) -> Result<(), AnswerError>,
    (answers, prompt): Terminal<'_, impl BufRead, impl Write>,
) -> anyhow::Result<Option<String>> {
    loop {
        let shown = found.unwrap_or("not found: left out");
        let answer = line(question, shown, (&mut *answers, &mut *prompt))?;
        if answer.is_empty() {
            return Ok(found.map(str::to_owned));
        }
        match check(&answer) {
            Ok(()) => return Ok(Some(answer)),
            Err(why) => writeln!(prompt, "{}", without_controls(&why.to_string()))?,
        }
    }
}

/// Asks one question, and returns the answer without the white space around it.
fn line(
    question: &str,
    found: &str,
    (answers, prompt): Terminal<'_, impl BufRead, impl Write>,
) -> anyhow::Result<String> {
    let found = format!("[{}]", without_controls(found));
    write!(prompt, "{} {} ", Styled(HEADING, question), Styled(FAINT, found))?;
    prompt.flush()?;
    let mut answer = String::new();
    if answers.read_line(&mut answer)? == 0 {
        writeln!(prompt)?;
        bail!("the input ended before every question was answered");
    }
    Ok(answer.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{cluster::inventory::Inventory, config};

    fn draft() -> ConfigDraft {
        let node = |name: &str| {
            json!({
                "apiVersion": "v1", "kind": "Node",
                "metadata": {"name": name, "labels": {"karpenter.sh/nodepool": name}},
                "spec": {"taints": [{"key": "dedicated", "value": "automq", "effect": "NoSchedule"}]},
            })
        };
        let dump = json!({"apiVersion": "v1", "kind": "List", "items": [node("a"), node("b")]});
        let inventory = Inventory::read_dump(&dump.to_string()).unwrap();
        let defaults = config::load("", "", None).unwrap().policy;
        ConfigDraft::of(&defaults, &inventory, &DraftChoices::default())
    }

    /// What is asked, without colours, and the choices: namespaces, pools, console.
    fn asked(answers: &str) -> anyhow::Result<(String, [String; 3])> {
        let mut prompt = anstream::StripStream::new(Vec::new());
        let DraftChoices { namespaces, pools, console } =
            ask(&draft(), &mut answers.as_bytes(), &mut prompt)?;
        let list =
            |it: Option<Vec<String>>| it.map_or_else(|| "found".to_owned(), |it| it.join(" "));
        let choices = [list(namespaces), list(pools), console.unwrap_or_else(|| "none".to_owned())];
        Ok((String::from_utf8(prompt.into_inner()).unwrap(), choices))
    }

    #[test]
    fn empty_lines_take_what_was_found() {
        let (prompt, choices) = asked("\n\n\n").unwrap();
        assert_eq!(choices, ["found", "found", "none"]);
        assert_eq!(
            prompt,
            "Which namespaces are AutoMQ's? [automq] Which pools are dedicated to AutoMQ? [a, b] Which user name \
             does AutoMQ's console have in the API server? [not found: left out] "
        );
    }

    #[test]
    fn answers_are_checked_and_asked_for_again() {
        let answers = "*\nkafka, connect\nc\nb\n*\nautomq console\nconsole@example.com\n";
        let (prompt, choices) = asked(answers).unwrap();
        assert_eq!(choices, ["kafka connect", "b", "console@example.com"]);
        for why in [
            "\"*\" is not the name of a namespace",
            "\"c\" is not one of a, b",
            "\"*\" is not a user name",
            "\"automq console\" is not a user name",
        ] {
            assert!(prompt.contains(why), "{prompt}");
        }
    }

    #[test]
    fn an_input_that_ends_is_an_error() {
        assert!(asked("kafka\n").unwrap_err().to_string().contains("ended"));
    }
}
