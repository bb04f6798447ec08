//! The command line as a whole, and what documents say of it.

use std::fs;
use std::path::PathBuf;

use super::*;

#[test]
fn the_commands_are_well_defined() {
    Cli::command().debug_assert();
}

/// Every command's help, as docs/cli.md has it.
fn reference() -> String {
    let mut text = "\
# The command line

What `kubezone COMMAND --help` says, of every command. Generated from src/cli:
`UPDATE=1 cargo test --lib the_document_of_the_command_line`.

`[env: NAME]` is a variable of the environment that says the same. What is typed goes before the environment, and both go
before the configuration's file ([configuration.md](configuration.md)).
"
    .to_owned();
    // Neither the terminal's width nor the values of variables belong into a document.
    let mut cli = in_print(Cli::command().bin_name("kubezone").term_width(100));
    cli.build();
    add_help(&mut cli, &mut text);
    text
}

/// `command` and all below it, without the values that variables of the environment have here.
fn in_print(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| arg.hide_env_values(true)).mut_subcommands(in_print)
}

fn add_help(command: &mut clap::Command, text: &mut String) {
    let name = command.get_bin_name().expect("a built command").to_owned();
    let help = command.render_long_help().to_string();
    let lines: Vec<_> = help.lines().map(str::trim_end).collect();
    *text += &format!("\n## {name}\n\n```text\n{}\n```\n", lines.join("\n").trim_end());
    for below in command.get_subcommands_mut().filter(|below| below.get_name() != "help") {
        add_help(below, text);
    }
}

#[test]
fn the_document_of_the_command_line_is_that_of_the_code() {
    crate::documents::check("docs/cli.md", &reference());
}

/// What a document has somebody type, in blocks of `sh` and `console`: the words of each command of ours, to the end of the line
/// or to what the shell takes for itself.
fn typed(text: &str) -> Vec<Vec<String>> {
    let text = text.replace("\\\n", " ");
    let blocks = text.split("```").skip(1).step_by(2);
    let of_shell = blocks.filter(|block| block.starts_with("sh\n") || block.starts_with("console"));
    let mut commands = Vec::new();
    for line in of_shell.flat_map(str::lines) {
        let line = line.strip_prefix("$ ").unwrap_or(line);
        let line = line.strip_prefix("kubectl ").unwrap_or(line);
        if line.starts_with("kubezone ") {
            let words = line.split_whitespace().take_while(|word| !["#", "|", ">", "&", "&&"].contains(word));
            commands.push(words.map(|word| word.trim_matches('\'').to_owned()).collect());
        }
    }
    commands
}

#[test]
fn command_lines_that_documents_show_are_understood() {
    let documents = fs::read_dir("docs").expect("docs/").map(|entry| entry.expect("an entry").path());
    let others = ["README.md", "helm/kubezone/README.md"].map(PathBuf::from);
    let mut count = 0;
    for document in documents.chain(others) {
        for words in typed(&fs::read_to_string(&document).expect("a document")) {
            let understood = Cli::command().try_get_matches_from(&words);
            assert!(understood.is_ok(), "{}: {}", document.display(), understood.unwrap_err());
            count += 1;
        }
    }
    assert!(count > 40, "{count}");
}
