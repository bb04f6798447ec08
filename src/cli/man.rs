//! `kubezone man`: manual pages, from the same definitions as `--help`.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Command};
use clap_mangen::Man as Page;
use clap_mangen::roff::{Roff, roman};

use super::{Failure, command};

/// Writes manual pages, one for each command
///
/// Without a folder, the page of kubezone itself goes to standard output.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kubezone man | man -l -
  kubezone man --output /usr/local/share/man/man1")]
pub(super) struct Man {
    /// The folder, which is made if it is not there: kubezone.1, kubezone-serve.1 and so on
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let mut root = command().disable_help_subcommand(true);
        root.build();
        let Some(folder) = &self.output else { return Ok(io::stdout().write_all(&page(&root)?)?) };
        let failed = |path: PathBuf| |source| Failure::unwritten(path, source);
        fs::create_dir_all(folder).map_err(failed(folder.clone()))?;
        let mut commands = vec![&root];
        while let Some(command) = commands.pop() {
            let path = folder.join(format!("{}.1", name(command)));
            fs::write(&path, page(command)?).map_err(failed(path))?;
            commands.extend(command.get_subcommands());
        }
        Ok(())
    }
}

/// What its page is called: `kubezone-zone-dump`.
fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// The page of `command`, its examples line by line.
fn page(command: &Command) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    Page::new(command.clone().after_help(None::<&str>))
        .source(concat!("kubezone ", env!("CARGO_PKG_VERSION")))
        .render(&mut text)?;
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let mut roff = Roff::new();
    for paragraph in help.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
        match paragraph.strip_prefix("Examples:\n").or(paragraph.strip_prefix("Example:")) {
            Some(examples) => {
                roff.control("SH", ["EXAMPLES"]).control("nf", []);
                for line in examples.lines() {
                    roff.text([roman(line.trim())]);
                }
                roff.control("fi", []);
            }
            None => {
                roff.control("SH", ["NOTES"]).text([roman(paragraph)]);
            }
        }
    }
    roff.to_writer(&mut text)?;
    Ok(text)
}
