//! A local Bedrock that speaks the real wire. Imports nothing from the gateway.
