//! Repairs a directory: keeps what is sound, sets aside what is not, and lists what is lost.
//!
//! Nothing is ever removed, written over or shortened. A damaged segment gets a name that the
//! engine passes over, and what is sound of it comes into its place as a compacted segment.
//!
//! ```
//! # use presence::{Database, Options, device::RealDevice};
//! # use presence_fsck::repair;
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("robot");
//! # Database::create(&path, Options::default())?.close()?;
//! let device = RealDevice::open(&path)?;
//! let plan = repair::plan(&device, &presence_fsck::Options::default(), &mut |_| true)?;
//! print!("{plan}");
//! let repaired = repair::execute(&device, &plan, &mut |_| true)?;
//! assert_eq!(repaired.exit_code(), 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Invariants
//! - Planning writes nothing and takes no lock; what is executed is what was planned.
//! - Cut off at any call, a repair leaves every byte that was there, and the next one goes on.
//! - What a repair puts in a place was judged before.
//! - After a repair the next one has nothing to do.

mod directory;
mod execute;
mod gather;
mod headless;
mod job;
mod output;
mod overlay;
mod piece;
mod plan;
mod resume;
mod step;

pub use execute::{Repaired, execute};
pub use plan::plan;
pub use step::{Plan, Step};
