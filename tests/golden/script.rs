//! Plays a script block by block.
//!
//! Promises: what is not output comes back byte for byte, so that an update changes outputs only. Leaves the
//! commands to the fixture.

use crate::fixture::Fixture;

/// The script with the outputs that its commands give now.
pub fn play(text: &str) -> String {
    let mut fixture = Fixture::new();
    let mut played = String::new();
    let mut commands = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        played.push_str(line);
        played.push('\n');
        if line == "----" {
            // The old output goes, up to the empty line that ends the block.
            let ended = lines.find(|line| line.is_empty()).is_some();
            for printed in fixture.run(&std::mem::take(&mut commands)) {
                played.push_str(&printed);
                played.push('\n');
            }
            if ended {
                played.push('\n');
            }
        } else if !line.is_empty() && !line.starts_with('#') {
            commands.push(line.to_owned());
        }
    }
    assert!(commands.is_empty(), "commands without `----`: {commands:?}");
    played
}

/// The first line that differs, with what was before it.
pub fn difference(written: &str, played: &str) -> String {
    let same = written
        .lines()
        .zip(played.lines())
        .take_while(|(old, new)| old == new)
        .count();
    let context = written.lines().take(same).skip(same.saturating_sub(6));
    let mut text: String = context.map(|line| format!("    {line}\n")).collect();
    for (mark, side) in [('-', written), ('+', played)] {
        side.lines()
            .skip(same)
            .take(4)
            .for_each(|line| text.push_str(&format!("  {mark} {line}\n")));
    }
    format!("  line {}:\n{text}", same + 1)
}
