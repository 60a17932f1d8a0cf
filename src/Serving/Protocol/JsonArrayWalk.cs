using System.Text.Json;
using static TorchBridge.Serving.Protocol.RequestRefusedException;

namespace TorchBridge.Serving.Protocol;

/// <summary>Goes through the elements of a flat or nested array, and checks the nesting against the shape.</summary>
/// <param name="name">Name of the input, for an error.</param>
/// <param name="shape">Its shape.</param>
/// <param name="count">Its elements: the product of the shape.</param>
internal struct JsonArrayWalk(string name, long[] shape, long count)
{
    private readonly long[] children = new long[shape.Length + 2];

    /// <summary>How many brackets are open.</summary>
    private int depth = 1;

    /// <summary>
    /// How many brackets an element lies in, from the first element on: every other must lie as deep.
    /// </summary>
    private int elementDepth;
    private long next;

    /// <summary>Index of the element at which the reader stands.</summary>
    public readonly int Index => (int)next - 1;

    /// <summary>Where that is, for a message.</summary>
    public readonly string Place => $"input '{name}', element {next - 1} of its data";

    /// <summary>Goes to the next element; false at the end of the outermost array.</summary>
    /// <param name="reader">Stands behind the last element, or the opening bracket.</param>
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

    /// <summary>A refusal that names input, shape and what the data do otherwise.</summary>
    private readonly RequestRefusedException Contradiction(string what) =>
        Invalid($"input '{name}' has the shape {ShapeRules.Text(shape)}, and its data {what}");
}
