//! The examples of every command, and the definition as clap checks it.

use clap::CommandFactory;

use super::*;

/// Every command with the words that call it.
fn commands(path: &str, command: &clap::Command, all: &mut Vec<(String, clap::Command)>) {
    all.push((path.to_owned(), command.clone()));
    for below in command.get_subcommands() {
        commands(&format!("{path} {}", below.get_name()), below, all);
    }
}

/// The calls of `lepton` in a line of a shell, without its pipes and redirections.
fn calls(line: &str) -> Vec<Vec<String>> {
    let words = shlex::split(line).unwrap_or_else(|| panic!("no line of a shell: {line}"));
    let parts = words.split(|word| word == "|").map(|part| {
        let redirected = part.iter().position(|word| word == ">").unwrap_or(part.len());
        part[..redirected].to_vec()
    });
    parts
        .filter(|part| part.first().is_some_and(|word| word == "lepton"))
        .collect()
}

#[test]
fn the_definition_is_sound() {
    Parsed::command().debug_assert();
}

#[test]
fn every_command_has_examples_that_call_it() {
    let mut all = Vec::new();
    commands("lepton", &Parsed::command(), &mut all);
    assert!(all.len() > 25, "{}", all.len());
    for (path, command) in all {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples = help
            .strip_prefix("Examples:\n")
            .unwrap_or_else(|| panic!("{path} has none"));
        let begin: Vec<String> = path.split(' ').map(str::to_owned).collect();
        for line in examples.lines() {
            let calls = calls(line);
            assert_eq!(calls.len(), 1, "{path}: {line}");
            assert!(calls[0].starts_with(&begin), "{path}: {line}");
            if let Err(error) = Parsed::try_parse_from(&calls[0]) {
                panic!("{path}: {line}: {error}");
            }
        }
    }
}
