//! `presence demo`.

use crate::support::Place;

#[test]
fn the_demo_tells_its_story() {
    let place = Place::new();
    let ran = place.run("demo --dir here --seconds 10").code(0);
    for words in ["Kill it", "bit by bit", "joint", "persons", "arm/joints", "Try next", "SIGKILL"]
    {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    assert!(!ran.out.contains('\r') && !ran.out.contains('\x1b'));
    let info = place.run("info here --json").code(0).json();
    let joints = info["streams"].as_array().unwrap().iter().find(|s| s["name"] == "arm/joints");
    assert_eq!(joints.unwrap()["records"], 10_000);
    // What it says to try next works.
    let commands: Vec<&str> =
        ran.out.lines().skip_while(|line| !line.contains("Try next")).skip(1).take(5).collect();
    for command in commands {
        let words = command.split(" | ").next().unwrap().split_whitespace().skip(1);
        place.run_words(&words.collect::<Vec<_>>()).code(0);
    }
    place.run("demo --dir here").code(2);
    place.run("demo --seconds 1").code(2);
}

#[test]
fn the_demo_answers_programs() {
    let place = Place::new();
    let answer = place.run("demo --dir here --seconds 10 --json").code(0).json();
    let count = |key: &str| answer[key]["arm/joints"].as_u64().unwrap();
    assert!(count("kept") >= count("acknowledged") && count("acknowledged") > 0);
    assert!(answer["persons"].as_u64().unwrap() > 0);
}
