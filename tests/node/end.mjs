// How each program here ends: with the answer, or with the failure as `au` tells it.

export function end(answer) {
  try {
    console.log(answer());
  } catch (error) {
    // What a component throws carries the failure of `wit/types.wit`; the ES module throws it told already.
    const { message, excerpt, hints = [] } = error.payload ?? error;
    console.error([`error: ${message}`, ...(excerpt?.split('\n').map((line) => `  ${line}`) ?? []), ...hints.map((hint) => `hint: ${hint}`)].join('\n'));
    process.exitCode = 1;
  }
}
