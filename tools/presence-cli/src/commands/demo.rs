//! `presence demo`: a recording is made, killed, recovered and asked.
//!
//! # Invariants
//! - Ends with 0 only where every acknowledged record was there after the kill, and every record
//!   was what had been sent.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use presence::{Database, Options, RecoveryReport};
use serde_json::json;

use super::info;
use crate::demo::child::{self, Child};
use crate::demo::recorder::{self, Counts, DETECTIONS, JOINTS, Recorder, STREAMS};
use crate::demo::story::Story;
use crate::demo::{place, questions};
use crate::report;
use presence_cli::failure::{Failure, Outcome, Result};
use presence_cli::output::Output;
use presence_cli::progress;
use presence_cli::quantity::{bytes, count, counted, duration};
use presence_cli::table::{Align, Table};
use presence_cli::terminal::quote;

/// How the demo runs.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where to record: a new directory; by default `presence-demo` in the system's temporary
    /// directory, where it takes the place of an earlier demo's.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Seconds of recording to make; they take about a twentieth of that.
    #[arg(long, value_name = "N", default_value_t = 60,
          value_parser = clap::value_parser!(u32).range(10..=3600))]
    seconds: u32,
    /// Keep the recording of an earlier demo, and make this one beside it.
    #[arg(long)]
    keep: bool,
}

/// What the process that is killed is told.
#[derive(Debug, Args)]
pub(crate) struct RecordArguments {
    dir: PathBuf,
    to_us: i64,
    speed: f64,
}

/// The life of the process that is killed.
///
/// # Errors
/// As [`child::live`].
pub(crate) fn record(arguments: &RecordArguments) -> Result<Outcome> {
    child::live(&arguments.dir, arguments.to_us, arguments.speed)?;
    Ok(Outcome::Fine)
}

/// The demo.
struct Demo {
    dir: PathBuf,
    end_us: i64,
    speed: f64,
    story: Story,
    began: Instant,
}

/// What became of the recording when its writer was killed.
struct Recovered {
    db: Database,
    report: RecoveryReport,
    kept: Counts,
    acknowledged: Counts,
}

/// Runs it.
///
/// # Errors
/// Where a record that was acknowledged is lost or changed, and of everything it does.
pub(crate) fn run(arguments: &Arguments, json: bool) -> Result<Outcome> {
    let seconds = f64::from(arguments.seconds);
    let mut demo = Demo {
        dir: place::choose(arguments.dir.as_deref(), arguments.keep)?,
        end_us: i64::from(arguments.seconds) * 1_000_000,
        speed: seconds / (seconds / 20.0).clamp(1.0, 6.0),
        story: Story::new(json),
        began: Instant::now(),
    };
    demo.story.line(&format!(
        "presence demo: {} s in the life of a robot, recorded {:.0} times as fast.",
        arguments.seconds, demo.speed
    ))?;
    let acknowledged = demo.record_and_kill()?;
    let recovered = demo.recover(acknowledged)?;
    let db = recovered.db.clone();
    demo.go_on(&db)?;
    let persons = demo.ask(&db)?;
    db.close()?;
    // What the others hold ends here too; reading needs no writer.
    let reader = crate::open::to_read(&demo.dir)?;
    if json {
        demo.tell_json(&recovered, persons)?;
    } else {
        demo.show(&reader)?;
    }
    Ok(Outcome::Fine)
}

impl Demo {
    fn record_and_kill(&mut self) -> Result<Counts> {
        self.story.part("1. Record, in a process of its own")?;
        self.story
            .line("   Seven joints at 1 kHz, an IMU at 200 Hz, a gripper at 50 Hz, a camera")?;
        self.story.line("   (64 x 48) at 10 Hz, and what a detector sees in it at 30 Hz.")?;
        let mut child = Child::start(&self.dir, self.end_us, self.speed)?;
        let began = Instant::now();
        let kill_us = self.end_us / 100 * 47;
        let mut last = (0, Counts::default());
        let mut is_asked = false;
        while let Some((now_us, counts)) = child.acknowledgement()? {
            last = (now_us, counts);
            let end_us = self.end_us;
            self.story.progress(|| writing(now_us, end_us, &counts, began.elapsed()))?;
            if !is_asked && now_us > self.end_us / 4 {
                is_asked = true;
                self.read_meanwhile()?;
            }
            if now_us >= kill_us {
                break;
            }
        }
        if last.0 < kill_us {
            let early = std::io::Error::other("the process that writes ended by itself");
            return Err(Failure::io("go on with the demo", &early));
        }
        // Somewhere between two acknowledgements, and after a flush of the engine's own.
        std::thread::sleep(Duration::from_millis(140));
        child.kill()?;
        // What it said before it died counts.
        while let Some(said) = child.acknowledgement()? {
            last = said;
        }
        let (now_us, counts) = last;
        self.story
            .line(&format!("  {}", writing(now_us, self.end_us, &counts, began.elapsed())))?;
        self.story.part("2. Kill it in the middle of writing (SIGKILL)")?;
        self.story.line(&format!(
            "   Until then it had acknowledged {} (handed to the kernel: level os),",
            counted(counts.iter().sum(), "record"),
        ))?;
        self.story.line(&format!("   {} s of the recording.", questions::seconds(now_us)))?;
        Ok(counts)
    }

    /// Reads while the other process writes.
    fn read_meanwhile(&mut self) -> Result<()> {
        let reader = crate::open::to_read(&self.dir)?;
        let joints = reader.stream(JOINTS)?;
        let Some(newest) = joints.last()? else { return Ok(()) };
        self.story.line(&format!(
            "   Meanwhile this process reads: {} joint states so far, the newest at {} s.",
            count(joints.len()),
            questions::seconds(newest.ts())
        ))
    }

    fn recover(&mut self, acknowledged: Counts) -> Result<Recovered> {
        self.story.part("3. Open it again")?;
        let began = Instant::now();
        let db = Database::open(&self.dir, Options::default())?;
        let spent = began.elapsed();
        let report = db.report().clone();
        for line in report::lines(&report) {
            self.story.line(&format!("   {line}"))?;
        }
        self.story.line(&format!("   Opened in {}. Kept:\n", duration(spent)))?;
        let mut kept = Counts::default();
        for (count, name) in kept.iter_mut().zip(STREAMS) {
            *count = db.stream(name)?.len();
        }
        self.story.text(&comparison(&acknowledged, &kept)?)?;
        let lost = kept.iter().zip(&acknowledged).filter(|(kept, told)| kept < told).count();
        if lost > 0 {
            let what = format!("{lost} of {} streams lost acknowledged records", STREAMS.len());
            return Err(Failure::damaged(what));
        }
        let differing = recorder::compare(&db)?;
        if differing > 0 {
            let what = format!("{} are not what was sent", counted(differing, "record"));
            return Err(Failure::damaged(what));
        }
        self.story.line(
            "\n   Nothing acknowledged is missing, and each record is, bit by bit, what was sent.",
        )?;
        self.story
            .line("   More than that was kept: the engine flushes by itself every 100 ms.")?;
        Ok(Recovered { db, report, kept, acknowledged })
    }

    fn go_on(&mut self, db: &Database) -> Result<()> {
        self.story.part("4. Go on where each stream ended")?;
        let mut recorder = Recorder::new(db)?;
        let from_us = db.stream(JOINTS)?.stats().last_ts.unwrap_or(0);
        let (began, end_us) = (Instant::now(), self.end_us);
        let story = &mut self.story;
        let before = recorder.counts();
        let since = |counts: &Counts| {
            std::array::from_fn(|stream| {
                let at = |counts: &Counts| counts.get(stream).copied().unwrap_or(0);
                at(counts).saturating_sub(at(&before))
            })
        };
        child::pace(&mut recorder, from_us, end_us, self.speed, |now_us, counts| {
            story.progress(|| writing(now_us, end_us, &since(counts), began.elapsed()))
        })?;
        let counts = since(&recorder.counts());
        self.story.line(&format!("  {}", writing(end_us, end_us, &counts, began.elapsed())))?;
        Ok(())
    }

    /// A moment to ask about, after the kill.
    fn moment_us(&self) -> i64 {
        self.end_us / 20 * 14
    }

    fn ask(&mut self, db: &Database) -> Result<usize> {
        self.story.part("5. Ask")?;
        let t_us = self.moment_us();
        questions::state(db, t_us, &mut self.story)?;
        questions::window(db, t_us, &mut self.story)?;
        self.story.line("")?;
        questions::seen(db, self.end_us, &mut self.story)
    }

    fn show(&mut self, db: &Database) -> Result<()> {
        self.story.part("6. What it costs")?;
        let mut text = Vec::new();
        info::write(db, &mut text)?;
        for line in String::from_utf8_lossy(&text).lines() {
            self.story.line(format!("   {line}").trim_end())?;
        }
        self.story.part("7. Try next")?;
        let program = std::env::args().next().unwrap_or_else(|| "presence".to_owned());
        let (program, dir) = (quote(&program), quote(&self.dir.display().to_string()));
        let t = format!("{}s", questions::seconds(self.moment_us()));
        for rest in [
            format!("at {dir} {JOINTS} {t}"),
            format!("window {dir} {DETECTIONS} --before {t} --span 200ms"),
            format!("window {dir} {JOINTS} 1s 2s --format csv | head -3"),
            format!("info {dir} --json"),
            format!("compact {dir}"),
            format!("import recording.csv --into {dir}"),
        ] {
            self.story.line(&format!("   {program} {rest}"))?;
        }
        self.story.line(&format!(
            "\nDone in {}. The recording stays in {dir} until the next demo.",
            duration(self.began.elapsed())
        ))
    }

    fn tell_json(&self, recovered: &Recovered, persons: usize) -> Result<()> {
        let by_name = |counts: &Counts| -> serde_json::Map<String, serde_json::Value> {
            STREAMS
                .iter()
                .zip(counts)
                .map(|(name, count)| ((*name).to_owned(), json!(count)))
                .collect()
        };
        let mut out = Output::stdout();
        let answer = json!({
            "directory": self.dir,
            "acknowledged": by_name(&recovered.acknowledged),
            "kept": by_name(&recovered.kept),
            "report": report::to_json(&recovered.report),
            "persons": persons,
        });
        writeln!(out, "{answer}")?;
        out.finish()
    }
}

/// The line of progress.
fn writing(now_us: i64, end_us: i64, counts: &Counts, spent: Duration) -> String {
    let seconds = spent.as_secs_f64().max(1e-3);
    let records: u64 = counts.iter().sum();
    format!(
        " {} {:>4} s  {} records  {} records/s  {}/s",
        progress::bar(now_us as f64 / end_us as f64),
        questions::seconds(now_us),
        count(records),
        count((records as f64 / seconds) as u64),
        bytes((recorder::raw_bytes(counts) as f64 / seconds) as u64)
    )
}

fn comparison(acknowledged: &Counts, kept: &Counts) -> Result<String> {
    let right = Align::Right;
    let titles =
        [("stream", Align::Left), ("acknowledged", right), ("kept", right), ("more", right)];
    let mut table = Table::new(&titles).indented("   ");
    for ((name, told), kept) in STREAMS.iter().zip(acknowledged).zip(kept) {
        let more = kept.saturating_sub(*told);
        table.line([(*name).to_owned(), count(*told), count(*kept), format!("+{}", count(more))]);
    }
    let mut text = Vec::new();
    table.write(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
