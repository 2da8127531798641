//! Whole inputs decoded, in pieces and at once; recordings where they are.

use std::io::Write;
use std::path::PathBuf;

use presence_events::{
    AutoDecoder, Column, Decoder, Event, EventError, Format, Options, Output, Report, TextOptions,
    TimeUnit,
};

/// How much more than usual is tested.
pub(crate) fn scaled(count: u32) -> u32 {
    let scale = std::env::var("PRESENCE_TEST_SCALE").ok();
    let scale: f64 = scale.and_then(|scale| scale.parse().ok()).unwrap_or(1.0);
    ((f64::from(count) * scale) as u32).max(1)
}

/// Appends a line to the file of figures, where there is one.
pub(crate) fn figure(name: &str, count: u64) {
    let Some(path) = std::env::var_os("PRESENCE_FIGURES") else { return };
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(format!("{name}\t{count}\n").as_bytes()).unwrap();
}

/// All that an input gave.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) format: Format,
    pub(crate) out: Output,
    pub(crate) report: Report,
    pub(crate) size: Option<(u16, u16)>,
    pub(crate) error: Option<EventError>,
}

impl Decoded {
    pub(crate) fn events(&self) -> Vec<Event> {
        self.out.events.iter().collect()
    }

    /// Everything that must not depend on how the input was cut.
    pub(crate) fn essence(&self) -> String {
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            self.out.events.iter().collect::<Vec<_>>(),
            self.out.exposures.iter().collect::<Vec<_>>(),
            self.out.triggers,
            self.out.frames,
            self.out.imu,
            self.out.colors,
            self.size,
            self.error,
            Report { faults: Vec::new(), faults_total: 0, ..self.report.clone() },
        )
    }
}

pub(crate) fn options(format: Format) -> Options {
    Options { format: Some(format), ..Options::default() }
}

pub(crate) fn text_options(columns: &str, time_unit: TimeUnit) -> Options {
    let columns: Vec<Column> = TextOptions::columns_of(columns).unwrap();
    let text = TextOptions { columns: Some(columns), time_unit };
    Options { text, ..Options::default() }
}

/// Decodes pieces that end where `cuts` says, with batches of about `events_max`.
pub(crate) fn in_pieces<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    options: &Options,
    events_max: usize,
) -> Decoded {
    let mut decoder: Box<dyn Decoder> = match options.format {
        Some(format) => presence_events::decoder(format, options).unwrap(),
        None => Box::new(AutoDecoder::new(options.clone())),
    };
    let (mut all, mut part) = (Output::default(), Output::new(events_max));
    let mut error = None;
    'pieces: for mut piece in pieces {
        while !piece.is_empty() {
            let taken = decoder.feed(piece, &mut part);
            let stuck = matches!(taken, Ok(0)) && !part.is_full();
            assert!(!stuck, "took nothing, and is not full");
            take(&mut all, &mut part);
            match taken {
                Ok(taken) => piece = &piece[taken..],
                Err(fault) => {
                    error = Some(fault);
                    break 'pieces;
                }
            }
        }
    }
    if error.is_none() {
        error = decoder.finish(&mut part).err();
        take(&mut all, &mut part);
    } else {
        assert_eq!(decoder.feed(b"x", &mut part).err(), error, "an error stays");
    }
    Decoded {
        format: decoder.format(),
        out: all,
        report: decoder.report().clone(),
        size: decoder.sensor_size().map(|size| (size.width, size.height)),
        error,
    }
}

fn take(all: &mut Output, part: &mut Output) {
    all.events.extend_from(&part.events, 0..part.events.len());
    all.exposures.extend_from(&part.exposures, 0..part.exposures.len());
    all.triggers.append(&mut part.triggers);
    all.frames.append(&mut part.frames);
    all.imu.append(&mut part.imu);
    all.colors.append(&mut part.colors);
    part.clear();
}

pub(crate) fn whole(bytes: &[u8], options: &Options) -> Decoded {
    in_pieces(std::iter::once(bytes), options, Output::EVENTS_MAX)
}

/// The directory of recordings, or a plain word that the test is skipped.
pub(crate) fn data() -> Option<PathBuf> {
    let dir = std::env::var_os("PRESENCE_TEST_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    if dir.join("MANIFEST.json").is_file() {
        return Some(dir);
    }
    // Not println!: the harness would keep it from those who should read it.
    let said = writeln!(
        std::io::stderr(),
        "SKIPPED: no recordings at {} (set PRESENCE_TEST_DATA)",
        dir.display()
    );
    drop(said);
    figure("skipped: recordings of event cameras", 1);
    None
}

pub(crate) fn recording(name: &str) -> Option<Vec<u8>> {
    Some(std::fs::read(data()?.join(name)).unwrap())
}
