using System.Text.Json;
using static TorchBridge.Serving.Protocol.RequestRefusedException;

namespace TorchBridge.Serving.Protocol;

/// <summary>
/// Iterates over the elements of a flat or nested JSON array, and checks the nesting against the shape.
/// </summary>
/// <param name="name">Name of the input, for error messages.</param>
/// <param name="shape">Shape of the input.</param>
/// <param name="count">Number of elements: the product of the shape.</param>
internal struct JsonArrayWalk(string name, long[] shape, long count)
{
    private readonly long[] children = new long[shape.Length + 2];

    /// <summary>Number of open brackets.</summary>
    private int depth = 1;

    /// <summary>
    /// Nesting depth of the first element, which all other elements must have too; 0 before the first element.
    /// </summary>
    private int elementDepth;
    private long next;

    /// <summary>Index of the element at which the reader is positioned.</summary>
    public readonly int Index => (int)next - 1;

    /// <summary>Describes the current element, for error messages.</summary>
    public readonly string Place => $"input '{name}', element {next - 1} of its data";

    /// <summary>Moves to the next element; returns false at the end of the outermost array.</summary>
    /// <param name="reader">Positioned after the previous element, or after the opening bracket.</param>
    /// <exception cref="RequestRefusedException">The nesting or the number of elements contradicts the
    /// shape.</exception>
    public bool Next(ref Utf8JsonReader reader)
    {
        while (reader.Read())
        {
            switch (reader.TokenType)
            {
                case JsonTokenType.StartArray:
                    if (depth >= shape.Length || elementDepth == depth)
                        throw Contradiction("is nested differently from its shape");
                    children[depth++]++;
                    children[depth] = 0;
                    break;
                case JsonTokenType.EndArray:
                    var isFlat = depth == 1 && (elementDepth == 1 || children[1] == 0);
                    if (!isFlat && children[depth] != shape[depth - 1])
                        throw Contradiction($"has an array of {children[depth]} where the axis has {shape[depth - 1]}");
                    if (--depth > 0)
                        break;
                    return next == count ? false : throw Contradiction($"has {next} elements");
                case JsonTokenType.StartObject:
                    throw Contradiction("holds an object");
                default:
                    if (elementDepth == 0)
                        elementDepth = depth;
                    if (elementDepth != depth || (depth > 1 && depth < shape.Length))
                        throw Contradiction("is nested differently from its shape");
                    if (next == count)
                        throw Contradiction($"has more than {count} elements");
                    children[depth]++;
                    next++;
                    return true;
            }
        }

        throw Invalid($"input '{name}': its data does not end");
    }

    /// <summary>An exception that names the input and its shape, and says how the data differ.</summary>
    private readonly RequestRefusedException Contradiction(string what) =>
        Invalid($"input '{name}' has the shape {ShapeRules.Text(shape)}, but its data {what}");
}
