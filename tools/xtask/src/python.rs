//! The Python package: built into a wheel, installed into a fresh environment, tested there.
//!
//! # Invariants
//! - What it needs is installed below the target folder, never into the system.
//! - Where that cannot be installed the step is skipped with the reason; a test that fails is
//!   always a failure. Without the peers their tests alone are skipped, and each says so.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::steps::{Outcome, execute, output_of};

/// Builds wheels, and makes environments quickly.
const TOOLS: [&str; 2] = ["maturin>=1.9,<2", "uv"];
/// What the tests import beside the package.
const TESTED_WITH: [&str; 6] = ["hypothesis", "mypy", "pandas", "polars", "pyarrow", "pytest"];

/// What the package is compared with: small without what they depend on, of which the tests need
/// nothing but h5py and what is installed already.
const PEERS: [&str; 4] =
    ["dynamic-prefetching-cache==0.1.3", "evlib==0.13.2", "h5py", "positronic==0.2.1"];

/// Compares what the stubs say with what is there.
const STUBTEST: [&str; 5] =
    ["-m", "mypy.stubtest", "presence", "--mypy-config-file", "pyproject.toml"];

/// Builds the wheel and runs its tests.
pub(crate) fn run(root: &Path) -> Result<Outcome> {
    let folder = target(root).join("python");
    let tools = folder.join("tools/bin");
    if let Some(why) = install_tools(&folder)? {
        return Ok(Outcome::Skipped(why));
    }
    let package = root.join("bindings/python");
    let wheels = folder.join("wheels");
    if wheels.is_dir() {
        std::fs::remove_dir_all(&wheels)
            .map_err(|error| format!("{}: {error}", wheels.display()))?;
    }
    let manifest = package.join("Cargo.toml");
    let mut build = Command::new(tools.join("maturin"));
    build.args(["build", "--quiet", "--profile", "dev", "--compatibility", "linux"]);
    // Other features than the tests have, so it is built for these tests alone: quickly.
    build.args(["--config", "profile.dev.package.presence-engine.opt-level=1"]);
    build.args(["--config", "profile.dev.package.presence-fsck.opt-level=0"]);
    execute(build.arg("--manifest-path").arg(&manifest).arg("--out").arg(&wheels))?;
    let wheel = only_file(&wheels)?;

    let environment = folder.join("environment");
    let mut fresh = Command::new(tools.join("uv"));
    fresh.args(["venv", "--quiet", "--clear", "--python", "python3"]).arg(&environment);
    let mut fill = Command::new(tools.join("uv"));
    fill.args(["pip", "install", "--quiet", "--python"]).arg(environment.join("bin/python"));
    for command in [&mut fresh, fill.arg(&wheel).args(TESTED_WITH)] {
        if let Err(why) = execute(command) {
            return Ok(Outcome::Skipped(format!("the tests' packages cannot be installed: {why}")));
        }
    }
    let mut peers = Command::new(tools.join("uv"));
    peers.args(["pip", "install", "--quiet", "--no-deps", "--python"]);
    if let Err(why) = execute(peers.arg(environment.join("bin/python")).args(PEERS)) {
        println!("  skipped: tests beside other packages, which cannot be installed: {why}");
    }
    let python = |arguments: &[&str]| {
        let mut command = Command::new(environment.join("bin/python"));
        command.args(arguments).current_dir(&package).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    };
    execute(python(&["-m", "pytest", "-rs"]).env("PYTHONDEVMODE", "1"))?;
    execute(&mut python(&STUBTEST))?;
    Ok(Outcome::Done)
}

/// Where this workspace is built.
fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

/// Installs what is missing; the reason where it cannot be.
fn install_tools(folder: &Path) -> Result<Option<String>> {
    if output_of(Command::new("python3").args(["-c", "import venv, ensurepip"])).is_none() {
        return Ok(Some("python3 with venv is missing, so no wheel was built".to_owned()));
    }
    let tools = folder.join("tools");
    let stamp = tools.join("installed");
    let wanted = TOOLS.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(None);
    }
    println!("  installing maturin and uv into {}", tools.display());
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(&tools);
    let mut pip = Command::new(tools.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(TOOLS);
    for command in [&mut venv, &mut pip] {
        if let Err(why) = execute(command) {
            return Ok(Some(format!("what builds wheels cannot be installed: {why}")));
        }
    }
    std::fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))?;
    Ok(None)
}

/// The one file of a folder.
fn only_file(folder: &Path) -> Result<PathBuf> {
    let tell = |error| format!("{}: {error}", folder.display());
    let entries = std::fs::read_dir(folder).map_err(tell)?;
    let paths = entries.map(|entry| Ok(entry.map_err(tell)?.path())).collect::<Result<Vec<_>>>()?;
    match paths.as_slice() {
        [path] => Ok(path.clone()),
        _ => Err(format!("{} wheels in {}, not one", paths.len(), folder.display())),
    }
}
