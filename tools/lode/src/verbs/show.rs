//! `lode config show`: every setting, its value, and where it comes from.

use serde_json::{Map, json};

use crate::{failure::Outcome, output::Output, settings::Settings};

/// Prints all settings, in the form of the config file with the origin behind each.
pub fn run(settings: &Settings, output: Output) -> Outcome<()> {
    let mut all = Map::new();
    let mut lines = Vec::new();
    for shown in &settings.shown {
        all.insert(
            shown.key.to_owned(),
            json!({ "value": shown.value, "origin": shown.origin }),
        );
        let assignment = format!("{} = {:?}", shown.key, shown.value);
        lines.push(format!("{assignment:44} # {}", shown.origin));
    }
    output.data(&json!(all), &lines.join("\n"), &lines.join("\n"))
}
