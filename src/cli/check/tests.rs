use super::code::Meaning;
use super::*;

/// The catalogue as docs/check.md has it.
fn catalogue() -> String {
    let mut text = "\
# What `kubezone check` looks at

```sh
kubezone check --pre --config kubezone.yaml    # before there is a server: can it start here, and has it what it needs?
kubezone check --config kubezone.yaml          # of the server that runs with it: is it well, and does it answer?
kubezone check --server http://[::1]:9154      # the same of any, by the URL of its listen.admin
```

One line is told of each thing that is looked at: `✔` it is as it should be, `!` somebody should look at it, because it may be meant
so or cannot be told from here, `✘` it has to be mended. Then come a code, what it is about and what was seen, and where that is
not well, a line with what to do about it. With `-o json` it is a list of objects with the fields `check` (the headings here),
`code`, `level` (`good`, `odd`, `bad`), `subject`, `message` and `hint`. Codes stay as they are. Exit status: 0; 1 where there is a `✘`;
2 usage, or the configuration cannot be used; 3 the server cannot be asked.

`--pre` takes the flags and the environment of `serve`, and looks with the rights that it is started with: as kubezone's
own user, in its own Pod. It changes nothing: addresses are opened and closed again, and clusters are asked by
SelfSubjectAccessReview, which the API allows to everybody. Generated from src/cli/check/code.rs:
`UPDATE=1 cargo test --lib the_document_of_checks`.
"
    .to_owned();
    let mut check = "";
    for code in Code::ALL {
        let Meaning { check: of, sentence, fix } = code.meaning();
        if of != check {
            check = of;
            text += &format!("\n## {check}\n\n| code | how it should be | what to do |\n|---|---|---|\n");
        }
        text += &format!("| {code} | {sentence} | {fix} |\n");
    }
    text
}

#[test]
fn the_document_of_checks_is_that_of_the_code() {
    crate::documents::check("docs/check.md", &catalogue());
}

#[test]
fn each_code_is_in_the_catalogue_once_and_groups_stand_together() {
    let names: Vec<_> = Code::ALL.iter().map(ToString::to_string).collect();
    let unique: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(unique.len(), names.len());
    let mut groups: Vec<_> = Code::ALL.iter().map(|code| code.meaning().check).collect();
    groups.dedup();
    assert_eq!(groups, ["configuration", "cluster", "host", "server"]);
    // One that is missing in ALL has a row all the same; those of permissions stand for eight.
    assert_eq!(include_str!("code.rs").matches("=> row(").count() - 3 + 8, names.len());
}

#[test]
fn a_check_is_a_line_and_below_it_what_to_do() {
    let print = |check: &Check| {
        let mut out = Vec::new();
        check.print(&mut Paper::new(&mut out, Colors::NONE)).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(print(&Check::good(Code::ApiVersion, "c2", "v1.36.3")), "✔ api-version c2: v1.36.3\n");
    let old = Check::bad(Code::ApiVersion, "c2", "v1.9\x1b[2J");
    assert_eq!(print(&old), "✘ api-version c2: v1.9 [2J\n    Upgrade the cluster.\n");
    let odd = Check::odd(Code::ApiVersion, "c2", "?").with_hint("Look.");
    assert_eq!(print(&odd), "! api-version c2: ?\n    Look.\n");
    assert_eq!(
        serde_json::to_string(&odd).unwrap(),
        r#"{"check":"cluster","code":"api-version","level":"odd","subject":"c2","message":"?","hint":"Look."}"#
    );
}
