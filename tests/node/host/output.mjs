// Where long texts go.

export class Sink {
  pieces = [];

  write(bytes) {
    this.pieces.push(bytes);
  }
}
