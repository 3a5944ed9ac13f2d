//! Assembly: config + listeners + shutdown -> running gateway.
