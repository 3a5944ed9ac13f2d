//! Pure translation between the proto and the JSON of Bedrock, both ways.
