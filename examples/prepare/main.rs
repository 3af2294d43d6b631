//! Fetches the emoji art that training and evaluation need, checks it, and shows some scenes.
//!
//! `cargo run --release --example prepare -- --sheet sheet.png`
//!
//! What is missing is fetched by `npm pack`, which comes with Node.js; nothing of the packages is run. Pictures are drawn
//! once and kept beside the packages.

#[path = "../common/mod.rs"]
mod common;
mod sheet;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;
use t2i_data::{Archives, Colour, Library, Package, Relation, Scenes, Style, Unseen};

#[derive(Parser, Debug)]
#[command(about = "Fetches and checks the emoji art, and shows some scenes")]
struct Args {
    /// The folder of the emoji packages
    #[arg(long, default_value_os_t = Archives::default_folder())]
    archives: PathBuf,
    /// Side of the pictures in pixels
    #[arg(long, default_value_t = 64)]
    size: usize,
    /// Where a sheet of scenes with their captions goes, as PNG
    #[arg(long)]
    sheet: Option<PathBuf>,
    /// Chooses the scenes of the sheet
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

fn main() -> ExitCode {
    common::report(run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), t2i::Error> {
    fs::create_dir_all(&args.archives).map_err(t2i::Error::io(&args.archives))?;
    for package in Archives::missing(&args.archives) {
        fetch(package, &args.archives)?;
    }
    eprintln!(
        "drawing pictures of {size} x {size} pixels, unless they are kept in {}",
        args.archives.display(),
        size = args.size
    );
    let library = Library::load(&Archives::open(&args.archives)?, args.size)?;
    count(&library)?;
    match &args.sheet {
        Some(path) => sheet::write(path, &library, &Scenes::new(library.concepts(), args.seed, 1.0 / 3.0)?),
        None => Ok(()),
    }
}

/// Says what it runs, and runs it.
fn fetch(package: Package, folder: &Path) -> Result<(), t2i::Error> {
    let command = package.command();
    eprintln!("{}: {command}", folder.display());
    let mut words = command.split(' ');
    let program = words.next().unwrap_or_default();
    let status = Command::new(program).args(words).current_dir(folder).status().map_err(t2i::Error::io(program))?;
    match status.success() {
        true => Ok(()),
        false => Err(t2i::Error::io(folder)(std::io::Error::other(format!("`{command}` failed: {status}")))),
    }
}

fn count(library: &Library) -> Result<(), t2i::Error> {
    let known = library.concepts().iter().filter(|concept| !concept.held_out).count();
    let (styles, colours, relations) = (Style::ALL.len(), Colour::ALL.len(), Relation::ALL.len());
    let (out_colours, out_pairs) = Unseen::new(library.concepts(), 0)?.counts();
    eprintln!("{known} concepts to train on, and {} held out", library.concepts().len() - known);
    eprintln!("{styles} styles, {colours} colours of backgrounds, {relations} relations");
    eprintln!("of {} objects on a colour, {out_colours} are held out", known * colours);
    eprintln!("of {} pairs of objects, {out_pairs} are held out", known * (known - 1) / 2);
    Ok(())
}
