/** Passes on what the microphone hears, in pieces of about a tenth of a second. */

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.kept = [];
    this.n = 0;
  }

  process([input]) {
    const channel = input[0];
    if (channel) {
      this.kept.push(channel.slice());
      this.n += channel.length;
    }
    if (this.n >= 4096) {
      const all = new Float32Array(this.n);
      let at = 0;
      for (const piece of this.kept) { all.set(piece, at); at += piece.length; }
      this.port.postMessage(all, [all.buffer]);
      this.kept = [];
      this.n = 0;
    }
    return true;
  }
}

registerProcessor("earful-recorder", Recorder);
