//! Filters as arguments: which, and in which order.
//!
//! # Invariants
//! - The order is fixed, that of the reference: region, polarity, hot pixels, refractory period,
//!   then background activity, activity, every n-th, and last what moves pixels. Time comes before
//!   all.

use std::path::{Path, PathBuf};

use clap::Args;
use presence::{TimeUnit, Within};
use presence_events::SensorSize;
use presence_events::filter::{
    ActivityFilter, BackgroundActivity, Chain, Crop, Decimate, Downsample, Filter, Flip,
    HotPixelFilter, HotPixelRule, PixelCounts, PolarityFilter, Refractory, RefractoryReset, Remap,
    Roi, RoiFilter, Transpose,
};

use presence_cli::failure::{Failure, Result};
use presence_cli::moment::Span;

/// What to leave out.
#[derive(Debug, Args)]
pub(super) struct Filters {
    /// Keep a rectangle, its borders included: x0,y0,x1,y1. May be given several times.
    #[arg(long, value_name = "X0,Y0,X1,Y1", value_parser = parse_roi)]
    roi: Vec<Roi>,
    /// Keep one polarity: on or off.
    #[arg(long, value_name = "POLARITY", value_parser = parse_polarity)]
    polarity: Option<u8>,
    /// Leave out hot pixels: `neighbours`, which compares a pixel with those around it, or a
    /// percentile of counts like 99.9. The source is read twice.
    #[arg(long, value_name = "RULE", value_parser = parse_hot)]
    hot_pixels: Option<HotPixelRule>,
    /// Leave out events of a pixel within so many microseconds of its last one.
    #[arg(long, value_name = "US")]
    refractory: Option<i64>,
    /// Count the refractory period from kept events only.
    #[arg(long, requires = "refractory")]
    from_kept: bool,
    /// Leave out events with no other around the pixel in so many microseconds before.
    #[arg(long, value_name = "US")]
    background: Option<i64>,
    /// Leave out windows of time so long in which too few or too many events are: 10ms, 500us.
    #[arg(long, value_name = "SPAN")]
    activity: Option<Span>,
    /// Fewest events of a window that is kept.
    #[arg(long, value_name = "N", requires = "activity")]
    at_least: Option<u64>,
    /// Most events of a window that is kept.
    #[arg(long, value_name = "N", requires = "activity")]
    at_most: Option<u64>,
    /// Keep every n-th event.
    #[arg(long, value_name = "N")]
    every: Option<u64>,
    /// Move pixels as a map says, for example without the distortion of the lens: a text file whose
    /// first line is x,y,to_x,to_y and that has a line for each pixel. Pixels without a line, and
    /// those that go beyond the sensor, are left out.
    #[arg(long, value_name = "FILE")]
    undistort: Option<PathBuf>,
    /// Keep a rectangle, and make its corner the zero of x and y.
    #[arg(long, value_name = "X0,Y0,X1,Y1", value_parser = parse_roi)]
    crop: Option<Roi>,
    /// Make squares of n x n pixels one.
    #[arg(long, value_name = "N")]
    downsample: Option<u16>,
    /// Exchange x and y.
    #[arg(long)]
    transpose: bool,
    /// Mirror left and right.
    #[arg(long)]
    flip_x: bool,
    /// Mirror top and bottom.
    #[arg(long)]
    flip_y: bool,
}

fn parse_roi(text: &str) -> Result<Roi, String> {
    let wrong = || format!("{text:?} is no rectangle; write it like 10,20,99,79");
    let sides: Vec<u16> = text
        .split(',')
        .map(|side| side.trim().parse().map_err(|_| wrong()))
        .collect::<Result<_, _>>()?;
    match *sides.as_slice() {
        [x_min, y_min, x_max, y_max] if x_min <= x_max && y_min <= y_max => {
            Ok(Roi { x_min, x_max, y_min, y_max })
        }
        _ => Err(wrong()),
    }
}

fn parse_polarity(text: &str) -> Result<u8, String> {
    match text {
        "on" | "1" => Ok(1),
        "off" | "0" | "-1" => Ok(0),
        _ => Err(format!("{text:?} is no polarity; it is on or off")),
    }
}

fn parse_hot(text: &str) -> Result<HotPixelRule, String> {
    if text == "neighbours" {
        return Ok(HotPixelRule::default());
    }
    let percent = text.parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
    percent
        .map(HotPixelRule::Percentile)
        .ok_or_else(|| format!("{text:?} is neither `neighbours` nor a percentile from 0 to 100"))
}

/// The map in a file, of a sensor of `size`.
fn map(path: &Path, size: SensorSize) -> Result<Remap> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::io(&format!("read {name}"), &error))?;
    Remap::of_text(size, &text).map_err(|error| Failure::of_events(&name, &error))
}

impl Filters {
    /// Whether the source is read twice.
    pub(super) fn needs_counts(&self) -> bool {
        self.hot_pixels.is_some()
    }

    /// Filters that look at one event alone.
    pub(super) fn selection(&self) -> Chain {
        let mut chain = Chain::default();
        if !self.roi.is_empty() {
            chain.0.push(Box::new(RoiFilter(self.roi.clone())));
        }
        if let Some(polarity) = self.polarity {
            chain.0.push(Box::new(PolarityFilter(polarity)));
        }
        chain
    }

    /// What the selection keeps lies within these values of the columns x, y and polarity.
    pub(super) fn within(&self) -> Vec<Within> {
        let within = |column: usize, min: Option<u16>, max: Option<u16>| {
            Some(Within { column, min: i64::from(min?), max: i64::from(max?) })
        };
        let least = |side: fn(&Roi) -> u16| self.roi.iter().map(side).min();
        let greatest = |side: fn(&Roi) -> u16| self.roi.iter().map(side).max();
        let polarity = self.polarity.map(u16::from);
        let columns = [
            within(0, least(|roi| roi.x_min), greatest(|roi| roi.x_max)),
            within(1, least(|roi| roi.y_min), greatest(|roi| roi.y_max)),
            within(2, polarity, polarity),
        ];
        columns.into_iter().flatten().collect()
    }

    /// All of them, and the sensor's size behind them; `counts` are those of what the selection
    /// keeps.
    ///
    /// # Errors
    /// Where one needs the sensor's size and it is unknown.
    pub(super) fn chain(
        &self,
        sensor: Option<SensorSize>,
        counts: Option<&PixelCounts>,
    ) -> Result<(Chain, Option<SensorSize>)> {
        let known = |what: &str| {
            let why = format!("{what} needs the sensor's size; --sensor tells it");
            sensor.ok_or_else(|| Failure::usage(why))
        };
        let mut chain = self.selection();
        let mut add = |filter: Box<dyn Filter>| chain.0.push(filter);
        if let (Some(rule), Some(counts)) = (self.hot_pixels, counts) {
            add(Box::new(HotPixelFilter::new(counts, rule)));
        }
        if let Some(us) = self.refractory {
            let reset =
                if self.from_kept { RefractoryReset::ByKept } else { RefractoryReset::ByAny };
            add(Box::new(Refractory::new(known("--refractory")?, us, reset)));
        }
        if let Some(us) = self.background {
            add(Box::new(BackgroundActivity::new(known("--background")?, us)));
        }
        if let Some(span) = self.activity {
            if self.at_least.is_none() && self.at_most.is_none() {
                return Err(Failure::usage("--activity needs --at-least or --at-most"));
            }
            let us = i64::try_from(span.units(TimeUnit::Us)).unwrap_or(i64::MAX);
            add(Box::new(ActivityFilter::new(us, self.at_least.unwrap_or(0), self.at_most)));
        }
        if let Some(every) = self.every {
            add(Box::new(Decimate::new(every)));
        }
        let mut size = sensor;
        if let Some(path) = &self.undistort {
            add(Box::new(map(path, known("--undistort")?)?));
        }
        if let Some(roi) = self.crop {
            add(Box::new(Crop(roi)));
            size = Some(SensorSize {
                width: (roi.x_max - roi.x_min).saturating_add(1),
                height: (roi.y_max - roi.y_min).saturating_add(1),
            });
        }
        if let Some(n) = self.downsample.map(|n| n.max(1)) {
            add(Box::new(Downsample { columns: n, rows: n }));
            size = size.map(|size| SensorSize {
                width: size.width.div_ceil(n),
                height: size.height.div_ceil(n),
            });
        }
        if self.transpose {
            add(Box::new(Transpose));
            size = size.map(|size| SensorSize { width: size.height, height: size.width });
        }
        if self.flip_x || self.flip_y {
            let size = size.ok_or_else(|| Failure::usage("flipping needs --sensor"))?;
            add(Box::new(Flip { size, horizontally: self.flip_x, vertically: self.flip_y }));
        }
        Ok((chain, size))
    }
}
