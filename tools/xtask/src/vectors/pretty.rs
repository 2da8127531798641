//! Prints JSON for people: what fits one line stands in one line.

use serde_json::Value;

const COLUMNS_MAX: usize = 110;

/// The text of `value`, with a line end.
pub(crate) fn print(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, 0, &mut text);
    text.push('\n');
    text
}

/// Appends `value`, `depth` levels deep, behind `used` columns of its line.
fn write(value: &Value, depth: usize, used: usize, out: &mut String) {
    let line = one_line(value);
    let parts: Vec<(String, &Value)> = match value {
        Value::Object(map) if !fits(&line, depth, used) => map
            .iter()
            .map(|(key, value)| (format!("{}: ", Value::from(key.as_str())), value))
            .collect(),
        Value::Array(list) if !fits(&line, depth, used) => {
            list.iter().map(|value| (String::new(), value)).collect()
        }
        _ => return out.push_str(&line),
    };
    let (open, close) = if value.is_object() { ('{', '}') } else { ('[', ']') };
    out.push(open);
    for (index, (key, value)) in parts.iter().enumerate() {
        out.push_str(if index == 0 { "\n" } else { ",\n" });
        out.push_str(&" ".repeat(2 * depth + 2));
        out.push_str(key);
        write(value, depth + 1, key.chars().count(), out);
    }
    out.push('\n');
    out.push_str(&" ".repeat(2 * depth));
    out.push(close);
}

fn fits(line: &str, depth: usize, used: usize) -> bool {
    2 * depth + used + line.chars().count() <= COLUMNS_MAX
}

fn one_line(value: &Value) -> String {
    match value {
        Value::Array(list) => {
            format!("[{}]", list.iter().map(one_line).collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) if map.is_empty() => "{}".to_owned(),
        Value::Object(map) => {
            let field = |(key, value): (&String, &Value)| {
                format!("{}: {}", Value::from(key.as_str()), one_line(value))
            };
            format!("{{ {} }}", map.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        scalar => scalar.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_values_stay_on_their_line() {
        let value = serde_json::json!({"a": [1, 2], "b": ["x".repeat(60), "y".repeat(60)]});
        let want = format!(
            "{{\n  \"a\": [1, 2],\n  \"b\": [\n    \"{}\",\n    \"{}\"\n  ]\n}}\n",
            "x".repeat(60),
            "y".repeat(60)
        );
        assert_eq!(print(&value), want);
        assert_eq!(serde_json::from_str::<Value>(&want).unwrap(), value);
    }
}
