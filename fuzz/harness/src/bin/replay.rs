//! `replay TARGET FILE...`: runs inputs through a target, on stable Rust, without a fuzzer.
//! `replay --list` names the targets; `replay --seeds FOLDER` writes what fuzzing begins with,
//! one folder for each target.

use std::path::Path;
use std::process::ExitCode;

use presence_fuzz_harness::{TARGETS, regressions, seeds, target};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["--list"] => {
            TARGETS.iter().for_each(|(name, _)| println!("{name}"));
            Ok(())
        }
        ["--seeds", folder] => write_seeds(Path::new(folder)),
        [name, files @ ..] if !files.is_empty() && !name.starts_with('-') => replay(name, files),
        _ => Err("usage: replay TARGET FILE... | --list | --seeds FOLDER".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("replay: {message}");
            ExitCode::FAILURE
        }
    }
}

fn replay(name: &str, files: &[&str]) -> Result<(), String> {
    let target = target(name).ok_or_else(|| format!("there is no target {name}; see --list"))?;
    for file in files {
        let bytes = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
        println!("{name} {file}");
        target(&bytes);
    }
    Ok(())
}

fn write_seeds(folder: &Path) -> Result<(), String> {
    let fault = |error: std::io::Error| format!("{}: {error}", folder.display());
    for (name, _) in TARGETS {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).map_err(fault)?;
        for (seed, bytes) in seeds(name).into_iter().chain(regressions(name)) {
            std::fs::write(folder.join(seed), bytes).map_err(fault)?;
        }
    }
    Ok(())
}
