using System.Text;

namespace TorchBridge.Serving.Tests.Protocol;

public class JsonRequestReaderTests
{
    private static readonly ProtocolLimits Limits = new() { Bytes = 1 << 20 };

    [Theory]
    [InlineData("[1,2,3,4,5,6]")]
    [InlineData("[[1,2,3],[4,5,6]]")]
    [InlineData("[1.0,2e0,3,4,5,6]")]
    [InlineData("  [ [1 ,2,3] , [4,5,6] ] ")]
    public void Data_are_flat_or_nested(string data) =>
        Assert.Equal(6, Read(Input($"\"shape\":[2,3],\"datatype\":\"INT32\",\"data\":{data}")).Inputs[0].Data.Span[20]);

    [Theory]
    [InlineData("[[1,2],[3,4],[5,6]]")] // the axes exchanged
    [InlineData("[[1,2,3],[4,5]]")]
    [InlineData("[[1,2,3],[4,5,6,7]]")]
    [InlineData("[[1,2,3,4,5,6]]")]
    [InlineData("[[[1,2,3],[4,5,6]]]")]
    [InlineData("[1,2,[3,4,5,6]]")]
    [InlineData("[[1,2,3],4,5,6]")]
    [InlineData("[1,2,3,4,5]")]
    [InlineData("[1,2,3,4,5,6,7]")]
    [InlineData("[]")]
    [InlineData("[[],[]]")]
    [InlineData("[1,2,3,4,5,{}]")]
    [InlineData("[1,2,3,4,5,null]")]
    [InlineData("[1,2,3,4,5,\"6\"]")]
    [InlineData("[1,2,3,4,5,true]")]
    [InlineData("[1,2,3,4,5,6.5]")]
    [InlineData("[1,2,3,4,5,2147483648]")]
    [InlineData("[1,2,3,4,5,1e400]")]
    [InlineData("{}")]
    [InlineData("\"text\"")]
    [InlineData("7")]
    public void Data_that_contradict_the_shape_or_the_datatype_are_refused(string data)
    {
        Refused(Input($"\"shape\":[2,3],\"datatype\":\"INT32\",\"data\":{data}"));
        Refused(Input($"\"data\":{data},\"shape\":[2,3],\"datatype\":\"INT32\""));
    }

    [Theory]
    [InlineData("UINT8", "256")]
    [InlineData("UINT8", "-1")]
    [InlineData("INT8", "128")]
    [InlineData("INT8", "-129")]
    [InlineData("UINT16", "65536")]
    [InlineData("INT16", "-32769")]
    [InlineData("UINT32", "4294967296")]
    [InlineData("INT64", "9223372036854775808")]
    [InlineData("UINT64", "18446744073709551616")]
    [InlineData("UINT64", "-1")]
    [InlineData("FP32", "1e39")]
    [InlineData("FP32", "NaN")]
    [InlineData("FP32", "Infinity")]
    [InlineData("FP32", "-Infinity")]
    [InlineData("FP32", "\"NaN\"")]
    [InlineData("FP16", "70000")]
    [InlineData("BF16", "1e39")]
    [InlineData("FP64", "1e999")]
    [InlineData("BOOL", "1")]
    [InlineData("BYTES", "1")]
    [InlineData("BYTES", "\"\\ud800\"")]
    public void A_value_outside_of_its_datatype_is_refused(string type, string value) =>
        Refused(Input($"\"shape\":[1],\"datatype\":\"{type}\",\"data\":[{value}]"));

    [Theory]
    [InlineData("[-1]", false)]
    [InlineData("[2,-3]", false)]
    [InlineData("[0,-1]", false)]
    [InlineData("[9223372036854775807,9223372036854775807]", true)]
    [InlineData("[4294967296,4294967296]", true)]
    [InlineData("[2305843009213693952,8]", true)] // 2^64 elements: zero, where it overflows
    [InlineData("[1099511627776]", true)]
    [InlineData("[262144]", false)] // as large as may be, and the data are not there
    [InlineData("[9223372036854775808]", false)]
    [InlineData("[1.5]", false)]
    [InlineData("[\"1\"]", false)]
    [InlineData("[null]", false)]
    [InlineData("1", false)]
    [InlineData("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", false)]
    public void A_shape_that_cannot_be_is_refused(string shape, bool isTooLarge) =>
        TensorAssert.Refused(isTooLarge ? RefusalKind.TooLarge : RefusalKind.Invalid, () =>
            Read(Input($"\"shape\":{shape},\"datatype\":\"FP32\",\"data\":[1]"))
        );

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("{")]
    [InlineData("{}")]
    [InlineData("""{"inputs":{}}""")]
    [InlineData("""{"inputs":[1]}""")]
    [InlineData("""{"inputs":[]}x""")]
    [InlineData("""{"inputs":[]}{"inputs":[]}""")]
    [InlineData("""{"inputs":[],"inputs":[]}""")]
    [InlineData("""{"x":1,"x":1,"inputs":[]}""")]
    [InlineData("""{"inputs":[],"id":7}""")]
    [InlineData("""{"inputs":[],"parameters":[]}""")]
    [InlineData("""{"inputs":[],"parameters":{"a":1,"a":2}}""")]
    [InlineData("""{"inputs":[],"parameters":{"a":[1]}}""")]
    [InlineData("""{"inputs":[],"parameters":{"a":null}}""")]
    [InlineData("""{"inputs":[],"parameters":{"a":1e999}}""")]
    [InlineData("""{"inputs":[],"parameters":{"binary_data_output":1}}""")]
    [InlineData("""{"inputs":[],"outputs":[{}]}""")]
    [InlineData("""{"inputs":[],"outputs":[{"name":1}]}""")]
    [InlineData("""{"inputs":[],"outputs":[{"name":"y","parameters":{"classification":0}}]}""")]
    [InlineData("""{"inputs":[],"outputs":[{"name":"y","parameters":{"classification":99999999999}}]}""")]
    [InlineData("""{"inputs":[],"outputs":[{"name":"y","parameters":{"classification":"2"}}]}""")]
    [InlineData("""{"inputs":[],"outputs":[{"name":"y","parameters":{"binary_data":"yes"}}]}""")]
    [InlineData("""{"inputs":[],/* no comments */"id":"1"}""")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1],"datatype":"FP32"}]}""")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1],"datatype":"FP8","data":[1]}]}""")]
    [InlineData("""{"inputs":[{"name":"x","datatype":"FP32","data":[1]}]}""")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1],"data":[1]}]}""")]
    [InlineData("""{"inputs":[{"shape":[1],"datatype":"FP32","data":[1]}]}""")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1],"data":[2]}]}""")]
    [InlineData(
        """{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1],"parameters":{"binary_data_size":0}}]}"""
    )]
    [InlineData("""{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":4}}]}""")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":-4}}]}""")]
    [InlineData("""{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","parameters":{"binary_data_size":4.5}}]}""")]
    [InlineData(
        """{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","parameters":{"shared_memory_region":"r","binary_data_size":0}}]}"""
    )]
    public void What_is_no_request_is_refused(string json) => Refused(json);

    [Fact]
    public void Nested_JSON_is_read_to_the_limit_and_refused_beyond()
    {
        string Deep(int levels) => $"{{\"inputs\":[],\"x\":{new string('[', levels)}{new string(']', levels)}}}";
        Read(Deep(50));
        Read(Deep(99));
        Refused(Deep(120));
        Refused(Deep(100_000));
    }

    [Fact]
    public void Bytes_that_are_no_UTF8_are_refused()
    {
        byte[] json = [.. """{"inputs":[],"id":"""u8, (byte)'"', 0xff, 0xfe, (byte)'"', (byte)'}'];
        TensorAssert.Refused(RefusalKind.Invalid, () => JsonRequestReader.Read(json, default, Limits));
        byte[] data =
        [
            .. """{"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","data":["""u8,
            (byte)'"',
            0xff,
            (byte)'"',
            .. "]}]}"u8,
        ];
        TensorAssert.Refused(RefusalKind.Invalid, () => JsonRequestReader.Read(data, default, Limits));
    }

    [Fact]
    public void Too_many_of_anything_is_refused()
    {
        string List(int count, string item) => string.Join(',', Enumerable.Repeat(item, count));
        TensorAssert.Refused(RefusalKind.TooLarge, () =>
            Read($"{{\"inputs\":[{List(65, """{"name":"x","shape":[1],"datatype":"FP32","data":[1]}""")}]}}")
        );
        TensorAssert.Refused(RefusalKind.TooLarge, () =>
            Read($"{{\"inputs\":[],\"outputs\":[{List(65, """{"name":"y"}""")}]}}")
        );
        TensorAssert.Refused(RefusalKind.TooLarge, () => Read($"{{\"inputs\":[],\"id\":\"{new string('x', 1025)}\"}}"));
        var keys = string.Join(',', Enumerable.Range(0, 100_000).Select(i => $"\"k{i}\":1"));
        TensorAssert.Refused(RefusalKind.TooLarge, () => Read($"{{{keys},\"inputs\":[]}}"));
        TensorAssert.Refused(RefusalKind.TooLarge, () => Read($"{{\"parameters\":{{{keys}}},\"inputs\":[]}}"));
        // Each is allowed, all together are not.
        var half = Input($"\"shape\":[150000],\"datatype\":\"FP32\",\"data\":[{List(150_000, "1")}]")[
            "{\"inputs\":[".Length..^2
        ];
        TensorAssert.Refused(RefusalKind.TooLarge, () => Read($"{{\"inputs\":[{half},{half}]}}"));
    }

    [Fact]
    public void Binary_data_are_taken_in_order_and_nothing_is_left_over()
    {
        const string json = """
            {"inputs":[{"name":"a","shape":[2],"datatype":"UINT8","parameters":{"binary_data_size":2}},
            {"name":"b","shape":[1],"datatype":"UINT8","data":[9]},{"name":"c","shape":[1],"datatype":"UINT8",
            "parameters":{"binary_data_size":1}}]}
            """;
        var request = Read(json, [1, 2, 3]);
        Assert.Equal<byte[]>(
            [
                [1, 2],
                [9],
                [3],
            ],
            request.Inputs.Select(input => input.Data.ToArray())
        );
        TensorAssert.Refused(RefusalKind.Invalid, () => Read(json, [1, 2]));
        TensorAssert.Refused(RefusalKind.Invalid, () => Read(json, [1, 2, 3, 4]));
    }

    [Fact]
    public void What_a_client_may_say_is_understood()
    {
        var request = Read(
            """
            {"unknown":{"a":[1]},"id":"7","parameters":{"binary_data_output":true,"n":3,"r":0.5,"s":"t"},
            "outputs":[{"name":"y","parameters":{"classification":2}},{"name":"z",
            "parameters":{"binary_data":false}}],"inputs":[]}
            """
        );
        Assert.Equal(("7", true, 4), (request.Id, request.BinaryByDefault, request.Parameters.Count));
        Assert.Equal([new RequestedOutput("y", 2), new RequestedOutput("z", null, false)], request.Outputs);
    }

    private static string Input(string fields) => $"{{\"inputs\":[{{\"name\":\"x\",{fields}}}]}}";

    private static InferenceRequest Read(string json, byte[]? blobs = null) =>
        JsonRequestReader.Read(Encoding.UTF8.GetBytes(json), blobs, Limits);

    private static void Refused(string json) => TensorAssert.Refused(RefusalKind.Invalid, () => Read(json));
}
