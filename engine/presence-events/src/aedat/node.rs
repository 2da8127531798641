//! The tree of nodes and attributes (XML) that describes the streams of an AEDAT 4 file.
//!
//! # Invariants
//! - Only tags are looked at, in one pass; what is no such tree has no attributes.

use crate::batch::SensorSize;

/// What the tree says of one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) id: i32,
    pub(super) kind: String,
    pub(super) source: Option<String>,
    width: Option<u16>,
    height: Option<u16>,
}

impl Stream {
    /// The sensor's size, where both numbers are there.
    pub(super) fn sensor_size(&self) -> Option<SensorSize> {
        Some(SensorSize { width: self.width?, height: self.height? })
    }
}

/// The streams of the tree.
pub(super) fn streams(text: &str) -> Vec<Stream> {
    let mut streams: Vec<Stream> = Vec::new();
    let mut path: Vec<&str> = Vec::new();
    for piece in text.split('<').skip(1) {
        let (tag, content) = piece.split_once('>').unwrap_or((piece, ""));
        let is_closed = tag.ends_with('/');
        if tag.starts_with("node ") {
            let name = quoted(tag, "name").unwrap_or_default();
            if let (["outInfo"], Ok(id)) = (path.as_slice(), name.parse()) {
                streams.push(Stream { id, ..Stream::default() });
            }
            if !is_closed {
                path.push(name);
            }
        } else if tag == "/node" {
            path.pop();
        } else if tag.starts_with("attr ")
            && let (["outInfo", _, ..], Some(stream)) = (path.as_slice(), streams.last_mut())
        {
            attribute(stream, quoted(tag, "key").unwrap_or_default(), content.trim());
        }
    }
    streams
}

fn attribute(stream: &mut Stream, key: &str, value: &str) {
    match key {
        "typeIdentifier" => value.clone_into(&mut stream.kind),
        "source" => stream.source = Some(value.to_owned()),
        "sizeX" => stream.width = value.parse().ok(),
        "sizeY" => stream.height = value.parse().ok(),
        _ => {}
    }
}

/// The value of `key="value"` in a tag.
fn quoted<'a>(tag: &'a str, key: &str) -> Option<&'a str> {
    let (_, after) = tag.split_once(&format!("{key}=\""))?;
    after.split_once('"').map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_found() {
        let text = r#"<dv version="2.0"><node name="outInfo" path="/a/">
            <node name="0" path="/a/0/"><attr key="typeIdentifier" type="string">EVTS</attr>
            <node name="info" path=""><attr key="sizeX" type="int">346</attr>
            <attr key="sizeY" type="int">260</attr><attr key="source" type="string">C</attr>
            </node></node><node name="3" path="/a/3/"><attr key="typeIdentifier">TRIG</attr>
            </node></node><attr key="sizeX">9</attr></dv>"#;
        let found = streams(text);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].id, found[0].kind.as_str()), (0, "EVTS"));
        assert_eq!(found[0].sensor_size(), Some(SensorSize { width: 346, height: 260 }));
        assert_eq!(found[0].source.as_deref(), Some("C"));
        assert_eq!((found[1].id, found[1].sensor_size()), (3, None));
        assert_eq!(streams("<<<node name=\"outInfo><attr "), []);
    }
}
