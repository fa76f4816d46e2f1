exports.when = Date.now();
exports.shout = (text) => text.toUpperCase();
