//! What documents show: the blocks of the READMEs and of docs/, by their language.

use std::fs;
use std::path::{Path, PathBuf};

/// All documents: those in docs/, README.md and the chart's.
pub(crate) fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs")).expect("docs/").map(|entry| entry.expect("an entry").path());
    docs.chain(["README.md", "helm/kubezone/README.md"].map(|readme| root.join(readme))).collect()
}

/// The blocks that begin with a line of exactly this `language`, each with the document it stands in.
///
/// What stands there behind the first word is for tests: no reader sees it.
pub(crate) fn shown(language: &str) -> Vec<(PathBuf, String)> {
    let blocks = blocks().into_iter().filter(|(_, of, _)| of == language);
    let blocks: Vec<_> = blocks.map(|(document, _, text)| (document, text)).collect();
    assert!(!blocks.is_empty(), "no document shows {language}");
    blocks
}

/// All blocks: the document, the line that it begins with, and its text.
pub(crate) fn blocks() -> Vec<(PathBuf, String, String)> {
    let mut blocks = Vec::new();
    for document in documents() {
        let text = fs::read_to_string(&document).expect("a document");
        let fenced = text.split("\n```").skip(1).step_by(2);
        let parts = fenced.map(|block| block.split_once('\n').expect("a line that begins it"));
        blocks.extend(parts.map(|(language, text)| (document.clone(), language.to_owned(), format!("{text}\n"))));
    }
    blocks
}
