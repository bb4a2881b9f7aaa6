//! The documentation is true: every page of docs/ and the README has examples, and they do what the page says.
//!
//! A fenced block is an example by its info string. `json plugin=NAME` is a configuration: ADD on a fresh node for the
//! container `c1`, and at the end of its turn CHECK, DEL twice, nothing left. `json result` is what that ADD printed.
//! `json file=NAME` is put into the configuration directory. `console` has lines `$ COMMAND`, run on the node, each
//! followed by what it prints on both streams, where `…` stands for what varies. Any other block is prose.

mod page;
mod pattern;
mod stage;

use lab::{Error, Result};
use page::{Block, Kind};
use stage::Stage;
use std::path::{Path, PathBuf};

/// Written by `cargo xtask bench`: measurements, which nobody can repeat to the digit.
const GENERATED: &str = "benchmarks.md";

#[test]
fn every_example_does_what_its_page_says() {
    let mut pages = pages("docs").expect("the pages");
    assert!(!pages.is_empty(), "docs/ has no page");
    pages.retain(|page| !page.ends_with(GENERATED));
    pages.push(root().join("README.md"));
    let wrong = |page: &PathBuf| Some(format!("{}: {}", page.display(), examples(page).err()?));
    let complaints: Vec<String> = pages.iter().filter_map(wrong).collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn every_link_leads_to_a_file() {
    let mut dead = Vec::new();
    for page in ["", "docs"].into_iter().flat_map(|directory| pages(directory).expect("the pages")) {
        let text = std::fs::read_to_string(&page).expect("a page");
        let beside = page.parent().unwrap_or(Path::new(""));
        let lost = page::links(&text).into_iter().filter(|link| !beside.join(link).exists());
        dead.extend(lost.map(|link| format!("{}: {link}", page.display())));
    }
    assert!(dead.is_empty(), "\n{}", dead.join("\n"));
}

fn root() -> PathBuf {
    let lab = Path::new(env!("CARGO_MANIFEST_DIR"));
    lab.ancestors().nth(2).unwrap_or(lab).to_owned()
}

/// The pages in a directory of the repository.
fn pages(directory: &str) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(root().join(directory)).map_err(Error::during(directory))?;
    let mut pages: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    pages.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.sort();
    Ok(pages)
}

/// Runs the examples of one page, in order.
fn examples(page: &Path) -> Result<()> {
    let text = std::fs::read_to_string(page).map_err(Error::during("read"))?;
    let (mut stage, mut count) = (None, 0);
    for block in page::blocks(&text) {
        let kind = block.kind();
        match kind {
            Kind::Prose => continue,
            // A page may have several configurations, each on a node of its own.
            Kind::Plugin { .. } => stage.take().map_or(Ok(()), Stage::end)?,
            Kind::Result | Kind::File { .. } | Kind::Console => {}
        }
        let told = tell(&mut stage, &block, kind);
        told.map_err(|error| Error::new(format!("line {}: {error}", block.line)))?;
        count += 1;
    }
    stage.map_or(Ok(()), Stage::end)?;
    if count == 0 {
        return Err(Error::new("there is no example in it that the tests can run"));
    }
    lab::report::count("docs", count, &page.file_name().unwrap_or_default().to_string_lossy());
    Ok(())
}

fn tell(stage: &mut Option<Stage>, block: &Block, kind: Kind) -> Result<()> {
    let stage = match stage {
        Some(stage) => stage,
        None => stage.insert(Stage::new()?),
    };
    match kind {
        Kind::Plugin { name } => stage.add(&name, &block.text),
        Kind::Result => stage.compare(&block.text),
        Kind::File { name } => stage.write(&name, &block.text),
        Kind::Console => stage.run(&block.text),
        Kind::Prose => Ok(()),
    }
}
