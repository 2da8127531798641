//! `presence-fsck`: judges a database or one segment, repairs it, or salvages what is sound.
//!
//! # Invariants
//! - Judging and salvaging change nothing where they read, and take no lock. A repair asks first.
//! - The report goes to standard output, progress to standard error.
//! - Exit codes are those of fsck(8).

#![forbid(unsafe_code)]

mod text;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use presence::device::RealDevice;
use presence_cli::failure::{Failure, Result};
use presence_cli::interrupt::on_interrupt;
use presence_cli::output::Output;
use presence_cli::progress::Bar;
use presence_cli::{quantity, terminal};
use presence_fsck::repair;
use presence_fsck::salvage::{self, Salvaged};
use presence_fsck::{Level, Options, Progress};
use serde::Serialize;

const PROGRAM: &str = "presence-fsck";

const CODES: &str = "\
Exit codes, added up: 0 sound, 1 repaired or salvaged with losses, 4 damage is left, 8 something \
could not be looked at, 16 wrong usage, 32 interrupted. A torn tail is what a crash leaves: it is \
told, and no error without --strict.";

/// Judge a database or one segment: is my data safe, what is missing, what to do next.
#[derive(Debug, Parser)]
#[command(name = "presence-fsck", version, after_help = CODES, max_term_width = 100)]
struct Cli {
    /// The database's directory, or one segment's file.
    #[arg(value_name = "DATABASE|SEGMENT")]
    path: PathBuf,
    /// Headers, indexes, and how segments follow each other; reads little.
    #[arg(long, conflicts_with = "deep")]
    quick: bool,
    /// Decode every block, too, and compare its records with what its header says.
    #[arg(long)]
    deep: bool,
    /// What a crash leaves counts as damage.
    #[arg(long)]
    strict: bool,
    /// The report as JSON, for programs.
    #[arg(long)]
    json: bool,
    /// Keep what is sound in place, and set aside what is not; nothing is removed.
    #[arg(long, conflicts_with_all = ["quick", "strict", "salvage"])]
    repair: bool,
    /// Show what a repair would do, and do nothing.
    #[arg(short = 'n', requires = "repair")]
    dry_run: bool,
    /// Repair without asking.
    #[arg(short = 'y', requires = "repair", conflicts_with = "dry_run")]
    yes: bool,
    /// Copy every sound record, also from beyond damage, into a new database.
    #[arg(long, value_name = "OUT", conflicts_with_all = ["quick", "deep", "strict"])]
    salvage: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(presence_cli::failure::refuse(PROGRAM, &error, 16)),
    };
    match cli.run() {
        Ok(code) => ExitCode::from(code),
        Err(failure) => ExitCode::from(failure.with_fsck_code().tell(PROGRAM, cli.json)),
    }
}

impl Cli {
    fn run(&self) -> Result<u8> {
        let mut watch = Watch::new()?;
        match &self.salvage {
            Some(out) => self.salvage(out, &mut watch),
            None if self.repair => self.repair(&mut watch),
            None => self.check(&mut watch),
        }
    }

    fn repair(&self, watch: &mut Watch) -> Result<u8> {
        let device = RealDevice::open(&self.path)
            .map_err(|error| Failure::io(&format!("open {}", self.path.display()), &error))?;
        let mut options = Options::default();
        if self.deep {
            options.level = Level::Deep;
        }
        let plan = repair::plan(&device, &options, &mut |at| watch.tell(at)).map_err(refused)?;
        watch.bar.clear();
        if self.dry_run || plan.is_empty() {
            self.show(&plan, |out| text::plan(out, &plan))?;
            return Ok(plan.exit_code());
        }
        if !self.yes && !asked(&plan)? {
            terminal::say("nothing was changed");
            return Ok(plan.exit_code());
        }
        let repaired = repair::execute(&device, &plan, &mut |at| watch.tell(at));
        watch.bar.clear();
        let repaired = repaired.map_err(refused)?;
        self.show(&repaired, |out| text::repaired(out, &plan, &repaired))?;
        Ok(repaired.exit_code())
    }

    fn check(&self, watch: &mut Watch) -> Result<u8> {
        let mut options = Options::at(match (self.quick, self.deep) {
            (true, _) => Level::Quick,
            (_, true) => Level::Deep,
            _ => Level::Default,
        });
        options.strict = self.strict;
        let report = presence_fsck::check(&self.path, &options, &mut |at| watch.tell(at))
            .map_err(refused)?;
        watch.bar.clear();
        self.show(&report, |out| text::report(out, &report))?;
        Ok(report.exit_code)
    }

    fn salvage(&self, out: &Path, watch: &mut Watch) -> Result<u8> {
        let salvaged = salvage::salvage(&self.path, out, &mut |at| watch.tell(at));
        watch.bar.clear();
        let salvaged: Salvaged = match salvaged {
            Ok(salvaged) => salvaged,
            Err(error @ salvage::Error::Interrupted) => {
                return Err(Failure::interrupted(error.to_string()));
            }
            Err(error @ salvage::Error::Exists { .. }) => {
                return Err(Failure::usage(error.to_string()));
            }
            Err(error @ salvage::Error::Nothing { .. }) => {
                return Err(Failure::damaged(error.to_string()));
            }
            Err(error) => return Err(Failure::cannot(error.to_string())),
        };
        for left_over in &salvaged.left_over {
            let path = out.with_file_name(left_over).display().to_string();
            let path = terminal::escape(&path);
            let what = "was left by a salvage that was killed, or one is at work there";
            terminal::say(&format!("{PROGRAM}: {path} {what}"));
        }
        self.show(&salvaged, |to| text::salvaged(to, &salvaged, out))?;
        Ok(salvaged.exit_code())
    }

    fn show<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(&mut Output) -> std::io::Result<()>,
    ) -> Result<()> {
        let mut out = Output::stdout();
        if self.json {
            serde_json::to_writer_pretty(&mut out, value)?;
            writeln!(out)?;
        } else {
            text(&mut out)?;
        }
        out.finish()
    }
}

fn refused(error: presence_fsck::Error) -> Failure {
    match error {
        presence_fsck::Error::Interrupted => {
            Failure::interrupted("interrupted; nothing was changed")
        }
        error => Failure::cannot(error.to_string()),
    }
}

/// Shows the plan to whoever sits at the terminal, and asks.
fn asked(plan: &repair::Plan) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        let what = "nobody is here to be asked: -n shows what would be done, -y does it";
        return Err(Failure::usage(what));
    }
    let mut terminal = std::io::stderr();
    text::plan(&mut terminal, plan)?;
    write!(terminal, "Do this? [y/N] ")?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Progress, and whether somebody asked to end.
struct Watch {
    bar: Bar,
    stop: Arc<AtomicBool>,
}

impl Watch {
    fn new() -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        on_interrupt(move || asked.store(true, Ordering::Relaxed))
            .map_err(|error| Failure::io("watch for Ctrl-C", &error))?;
        Ok(Self { bar: Bar::new("checking"), stop })
    }

    fn tell(&mut self, progress: Progress) -> bool {
        let Progress { done, all } = progress;
        self.bar.draw(done, Some(all), &quantity::bytes(done));
        !self.stop.load(Ordering::Relaxed)
    }
}
